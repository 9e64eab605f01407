"""What can be known to be wrong with a report before its first request; the checks are functions of values.

`operators.preflight` finds the report's tasks, renders their templates, and asks Airflow and MongoDB.
"""
