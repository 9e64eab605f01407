"""The demo: the daily report over a service, a MongoDB and an Airflow of its own, shown as it runs."""
