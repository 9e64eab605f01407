"""# Erase parameters

Removes the data of some parameters from everything that is staged, of all DAGs: a person has asked for it.

1. Make the Airflow Variable `fanout_erase_secret`: a JSON list of the parameters, such as `["+12025550123"]` or
   `[{"tel": "+12025550123"}]`.
2. Trigger this DAG. It deletes the Variable when nothing that is staged holds them any more.

From runs that are queued or running nothing is erased: the task is tried again until they are over.

The param `dry_run` says how many there are, and erases nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_fanout import EraseOperator

with DAG(
    "erase_parameters",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["fanout", "maintenance"],
    doc_md=__doc__,
    params={"dry_run": Param(default=False, type="boolean", description="Only count what would be erased.")},
) as dag:
    EraseOperator(
        task_id="erase",
        dry_run="{{ params.dry_run }}",
        # A run that still goes on ends within hours.
        retries=24,
        retry_delay=timedelta(minutes=30),
    )
