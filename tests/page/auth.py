"""Airflow's simple auth manager, with two users that may see less than its roles allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

# A user's name -> what it may not see of a DAG.
OUTSIDER, WITHOUT_LOGS = "outsider", "nologs"
READABLE_FOR_OUTSIDER = "account_balances"


class RestrictedAuthManager(SimpleAuthManager):
    """Refuses the outsider all DAGs but one, and another user the logs."""

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Decide as the roles say, besides these two."""
        if user.username == OUTSIDER and (details is None or details.id != READABLE_FOR_OUTSIDER):
            return False
        if user.username == WITHOUT_LOGS and access_entity is DagAccessEntity.TASK_LOGS:
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
