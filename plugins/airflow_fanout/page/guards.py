"""Who may see what: Airflow's own auth manager decides, by the rights that its own pages ask for."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_authenticated

AUTHENTICATED = requires_authenticated()
# A run's page shows its state, its tasks and what these have returned.
SHOWN = (DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM)
READS_REPORT = tuple(requires_access_dag("GET", entity) for entity in SHOWN)
# The parameters that failed are what a task's log may show.
READS_LOGS = requires_access_dag("GET", DagAccessEntity.TASK_LOGS)


def reads_report(user: Any, dag_id: str, team: str | None) -> bool:
    """Return whether a user passes `READS_REPORT` for a DAG.

    :param team: the one that the DAG belongs to.
    """
    details = DagDetails(id=dag_id, team_name=team)
    may = get_auth_manager().is_authorized_dag
    return all(may(method="GET", access_entity=entity, details=details, user=user) for entity in SHOWN)
