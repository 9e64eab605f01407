"""What Airflow's database knows of backfills: Airflow's API says neither who began one nor which days it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.models.backfill import Backfill, BackfillDagRun
from airflow.models.dagrun import DagRun
from sqlalchemy import ColumnElement, and_, case, func, or_, select

from airflow_fanout.page.rows import StoredBackfill, StoredDay
from airflow_fanout.page.stored import run_columns, run_of_row

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

MOST_BACKFILLS = 20
_COLUMNS = (
    *(Backfill.id, Backfill.from_date, Backfill.to_date, Backfill.triggering_user_name, Backfill.is_paused),
    *(Backfill.created_at, Backfill.completed_at),
)


def backfills(session: Session, dag_id: str, backfill_id: int | None = None) -> list[StoredBackfill]:
    """Return a DAG's backfills, at most `MOST_BACKFILLS`, the newest first; it takes one statement.

    :param backfill_id: which one; by default all.
    """
    wanted = select(Backfill.id).where(Backfill.dag_id == dag_id).order_by(Backfill.id.desc()).limit(MOST_BACKFILLS)
    if backfill_id is not None:
        wanted = wanted.where(Backfill.id == backfill_id)
    newest, state, days = wanted.subquery(), _state().label("state"), func.count(BackfillDagRun.id).label("days")
    statement = (
        select(*_COLUMNS, state, days)
        .join(newest, newest.c.id == Backfill.id)
        .outerjoin(BackfillDagRun, BackfillDagRun.backfill_id == Backfill.id)
        .outerjoin(DagRun, DagRun.id == BackfillDagRun.dag_run_id)
        .group_by(*_COLUMNS, state)
        .order_by(Backfill.id.desc())
    )
    by_id: dict[int, list[Any]] = {}
    for row in session.execute(statement).all():
        by_id.setdefault(row.id, []).append(row)
    return [_backfill(rows) for rows in by_id.values()]


def _backfill(rows: list[Any]) -> StoredBackfill:
    first = rows[0]
    return StoredBackfill(
        id=first.id,
        begin=first.from_date,
        end=first.to_date,
        by=first.triggering_user_name,
        paused=bool(first.is_paused),
        created=first.created_at,
        completed=first.completed_at,
        days={str(row.state): row.days for row in rows if row.days},
    )


def backfill_days(session: Session, dag_id: str, backfill_id: int) -> list[StoredDay]:
    """Return the days of a backfill in its order, each with its run; it takes one statement.

    Of a day that was skipped, that is the run that was there already.
    """
    is_own = DagRun.id == BackfillDagRun.dag_run_id
    was_there = and_(
        BackfillDagRun.dag_run_id.is_(None),
        DagRun.dag_id == dag_id,
        or_(
            DagRun.logical_date == BackfillDagRun.logical_date,
            and_(BackfillDagRun.logical_date.is_(None), DagRun.partition_key == BackfillDagRun.partition_key),
        ),
    )
    day = (BackfillDagRun.logical_date.label("day"), BackfillDagRun.partition_key.label("part"))
    statement = (
        run_columns()
        .add_columns(*day, BackfillDagRun.exception_reason, _state().label("day_state"), BackfillDagRun.sort_ordinal)
        .select_from(BackfillDagRun)
        .outerjoin(DagRun, or_(is_own, was_there))
        .where(BackfillDagRun.backfill_id == backfill_id)
        .order_by(BackfillDagRun.sort_ordinal, DagRun.run_after)
    )
    # A partition may have several runs: the newest one counts.
    by_place = {row.sort_ordinal: row for row in session.execute(statement).all()}
    return [
        StoredDay(
            logical_date=row.day,
            partition=row.part,
            state=str(row.day_state),
            reason=row.exception_reason,
            run=None if row.id is None else run_of_row(row),
        )
        for row in by_place.values()
    ]


def _state() -> ColumnElement[str]:
    """Return the state of a day: that of its own run, else why it has none."""
    is_skipped = BackfillDagRun.exception_reason.is_not(None)
    return case((BackfillDagRun.dag_run_id.is_not(None), DagRun.state), (is_skipped, "skipped"), else_="deleted")
