"""Who may see what: Airflow's own auth manager decides, by the rights that its own pages ask for."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_authenticated

AUTHENTICATED = requires_authenticated()
# A run's page shows its state, its tasks and what these have returned.
READS_RUNS = requires_access_dag("GET", DagAccessEntity.RUN)
READS_TASKS = requires_access_dag("GET", DagAccessEntity.TASK_INSTANCE)
READS_RETURNED = requires_access_dag("GET", DagAccessEntity.XCOM)
# The parameters that failed are what a task's log may show.
READS_LOGS = requires_access_dag("GET", DagAccessEntity.TASK_LOGS)
