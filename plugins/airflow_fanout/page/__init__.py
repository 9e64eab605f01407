"""The page in Airflow's UI: a run as it goes on and afterwards, a report over time, and all reports."""
