"""Backfills: the runs of past dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.airflow.errors import BackfillNotCompleted
from harness.airflow.session import PATIENCE_S, Json, Session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_BACKFILLS = "/api/v2/backfills"


class Backfills(Session):
    """Backfills: created, listed, waited for."""

    def create_backfill(
        self,
        dag_id: str,
        start: datetime,
        end: datetime,
        *,
        max_active_runs: int = 10,
        reprocess: str = "none",
        backwards: bool = False,
        conf: Mapping[str, Any] | None = None,
    ) -> int:
        """Create a backfill from start to end, both included, and return its id.

        Dates that have a run get another as ``reprocess`` says: "none", "failed" or "completed" ones.
        """
        wanted = {
            "dag_id": dag_id,
            "from_date": start.isoformat(),
            "to_date": end.isoformat(),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": reprocess,
            "run_backwards": backwards,
            "dag_run_conf": dict(conf or {}),
        }
        return int(self.request("POST", _BACKFILLS, json=wanted)["id"])

    def backfills(self, dag_id: str) -> list[Json]:
        """List the backfills of a DAG; its runs' states tell sooner than ``completed_at`` if one is done."""
        return list(self._pages(_BACKFILLS, "backfills", dag_id=dag_id))

    def wait_backfills(self, dag_id: str, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until all backfills of the DAG are completed, which the scheduler looks after every 30 s.

        Until then Airflow refuses to create another one.
        """

        def completed() -> bool | None:
            return all(backfill["completed_at"] for backfill in self.backfills(dag_id)) or None

        self._wait(completed, timeout_s, lambda: BackfillNotCompleted(dag_id, timeout_s))
