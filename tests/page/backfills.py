"""A backfill of four days, one of which it left as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.page.left import NOW, TODAY

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DAG_ID = "subscriber_usage"
# Three nights were made up for, days ago; the one after them was there already.
OWN, SKIPPED = (33, 32, 31), 30


def make_backfill(session: Session) -> None:
    """Write the backfill that the runs of these nights belong to, in an Airflow's own environment."""
    from airflow.models.backfill import Backfill, BackfillDagRun, BackfillDagRunExceptionReason, ReprocessBehavior
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    backfill = Backfill(
        dag_id=DAG_ID,
        from_date=TODAY - timedelta(days=OWN[0]),
        to_date=TODAY - timedelta(days=SKIPPED),
        dag_run_conf={},
        reprocess_behavior=ReprocessBehavior.NONE,
        max_active_runs=4,
        created_at=NOW - timedelta(days=29),
        completed_at=NOW - timedelta(days=28),
        triggering_user_name="maria",
    )
    session.add(backfill)
    session.flush()
    for place, back in enumerate((*OWN, SKIPPED), start=1):
        day = TODAY - timedelta(days=back)
        reason = BackfillDagRunExceptionReason.ALREADY_EXISTS if back == SKIPPED else None
        row = BackfillDagRun(backfill_id=backfill.id, logical_date=day, sort_ordinal=place, exception_reason=reason)
        if reason is None:
            run = session.scalars(select(DagRun).where(DagRun.dag_id == DAG_ID, DagRun.logical_date == day)).one()
            run.backfill_id = backfill.id
            row.dag_run_id = run.id
        session.add(row)
