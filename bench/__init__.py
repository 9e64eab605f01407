"""The measured comparisons: clients and the engine over one lean server, loads, and three ways in Airflow."""
