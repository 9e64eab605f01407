"""Between Airflow and everything that doesn't know it."""
