"""# Clean the staging area

Each night, removes the directories of runs that are over from the staging area, of all DAGs. A run that is queued or
running is never touched. A failed run can be completed by clearing its fetch for `keep_failed_days`.

The param `dry_run` says what would be removed, and removes nothing.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_fanout import CleanStagingOperator

with DAG(
    "clean_staging",
    schedule="30 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    tags=["fanout", "maintenance"],
    doc_md=__doc__,
    params={
        "keep_days": Param(
            7, type="integer", minimum=0, description="Days after its last change for which a good run's files stay."
        ),
        "keep_failed_days": Param(30, type="integer", minimum=1, description="The same for a run that has failed."),
        "dry_run": Param(default=False, type="boolean", description="Only say what would be removed."),
    },
) as dag:
    CleanStagingOperator(
        task_id="clean",
        keep_days="{{ params.keep_days }}",
        keep_failed_days="{{ params.keep_failed_days }}",
        dry_run="{{ params.dry_run }}",
        retries=1,
    )
