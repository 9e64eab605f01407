"""The four operators and the task group that chains them; an operator only translates between Airflow and the rest."""
