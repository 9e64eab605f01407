"""The way of an alert through Airflow's own notifiers: from a run's context to a message on each channel."""
