"""What Airflow's database knows of reports.

No file of the page but this and `stored_backfills` knows its tables, which move between versions.

Each function sends the same number of statements, however many runs, tasks and shards there are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Select, func, select
from sqlalchemy.orm import selectinload

from airflow_fanout.alerts.note import KEY
from airflow_fanout.page.known_dag import KnownDag
from airflow_fanout.page.late import DagDeadline
from airflow_fanout.page.rows import RETURNED, NextRun, StoredRun, StoredTask

if TYPE_CHECKING:
    from airflow.models.deadline_alert import DeadlineAlert
    from sqlalchemy.orm import Session

# States of a task that was cleared, or hasn't begun.
WAITING = (None, "none", "scheduled", "queued", "upstream_failed", "skipped", "removed")
# The start of a task is by its worker's clock, the moment of its progress by the API server's.
SKEW = timedelta(seconds=10)
# A DAG that has changed has another digest: what is known of those that haven't is kept.
MOST_DAGS = 5_000
_known: dict[str, KnownDag] = {}


def known_dags(session: Session, dag_ids: Collection[str]) -> dict[str, KnownDag]:
    """Return what is known of DAGs that have reports, by the DAG's id; one without a report is left out."""
    newest = select(SerializedDagModel.dag_id, func.max(SerializedDagModel.created_at).label("at"))
    latest = newest.where(SerializedDagModel.dag_id.in_(dag_ids)).group_by(SerializedDagModel.dag_id).subquery()
    is_latest = (SerializedDagModel.dag_id == latest.c.dag_id) & (SerializedDagModel.created_at == latest.c.at)
    digests = session.execute(
        select(SerializedDagModel.dag_id, SerializedDagModel.dag_hash, SerializedDagModel.id).join(latest, is_latest)
    ).all()
    _learn(session, [row.id for row in digests if row.dag_hash not in _known])
    known = {row.dag_id: _known[row.dag_hash] for row in digests if row.dag_hash in _known}
    return {dag_id: dag for dag_id, dag in known.items() if dag.reports}


def _learn(session: Session, ids: Collection[Any]) -> None:
    if len(_known) > MOST_DAGS:
        _known.clear()
    if not ids:
        return
    wanted = select(SerializedDagModel).where(SerializedDagModel.id.in_(ids))
    for dag in session.scalars(wanted.options(selectinload(SerializedDagModel.deadline_alerts))):
        _known[dag.dag_hash] = KnownDag.of(dag.data or {}, _deadlines(dag.deadline_alerts))


def _deadlines(alerts: Iterable[DeadlineAlert]) -> Iterator[DagDeadline]:
    """Yield the deadlines whose interval is in the DAG; one that is in an Airflow Variable may change each minute."""
    for alert in alerts:
        interval = alert.interval.get("__data__") if isinstance(alert.interval, dict) else alert.interval
        if isinstance(interval, int | float):
            yield DagDeadline(alert.reference, timedelta(seconds=interval))


def is_dag(session: Session, dag_id: str) -> bool:
    """Return whether Airflow knows a DAG."""
    return session.scalar(select(DagModel.dag_id).where(DagModel.dag_id == dag_id)) is not None


def team_of(session: Session, dag_id: str) -> str | None:
    """Return the team that a DAG belongs to; `None` for none, and where Airflow has no teams."""
    team: str | None = DagModel.get_team_name(dag_id, session=session)
    return team


def teams_of(session: Session, dag_ids: Iterable[str]) -> dict[str, str | None]:
    """Return the teams of DAGs, by the DAG's id; a DAG without a team is left out."""
    teams: dict[str, str | None] = DagModel.get_dag_id_to_team_name_mapping([*dag_ids], session=session)
    return teams


def next_runs(session: Session, dag_ids: Iterable[str]) -> dict[str, NextRun]:
    """Return the next run of each DAG, by its id; a DAG that isn't there is left out."""
    columns = (DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after, DagModel.next_dagrun)
    rows = session.execute(select(*columns).where(DagModel.dag_id.in_([*dag_ids]))).all()
    return {
        row.dag_id: NextRun(paused=bool(row.is_paused), due=row.next_dagrun_create_after, logical_date=row.next_dagrun)
        for row in rows
    }


def passed_deadlines(session: Session, runs: Iterable[StoredRun], now: datetime) -> dict[int, datetime]:
    """Return the first deadline that each of these runs has missed, by the run's id."""
    ids = [run.id for run in runs if run.state != "success"]
    first = func.min(Deadline.deadline_time).label("first")
    passed = select(Deadline.dagrun_id, first).where(Deadline.dagrun_id.in_(ids), Deadline.deadline_time < now)
    return {row.dagrun_id: row.first for row in session.execute(passed.group_by(Deadline.dagrun_id)).all()}


def stored_run(session: Session, dag_id: str, run_id: str) -> StoredRun | None:
    """Return a run; `None` if there is none with this id."""
    row = session.execute(run_columns().where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).first()
    return None if row is None else run_of_row(row)


def newest_runs(session: Session, dag_ids: Iterable[str], most: int) -> list[StoredRun]:
    """Return the newest runs of each DAG, at most so that each has this many, the newest first."""
    place = func.row_number().over(partition_by=DagRun.dag_id, order_by=DagRun.run_after.desc()).label("place")
    ranked = select(DagRun.id.label("id"), place).where(DagRun.dag_id.in_([*dag_ids])).subquery()
    statement = run_columns().join(ranked, ranked.c.id == DagRun.id).where(ranked.c.place <= most)
    return [run_of_row(row) for row in session.execute(statement.order_by(DagRun.run_after.desc())).all()]


def stored_tasks(session: Session, run: StoredRun, task_ids: Iterable[str]) -> list[StoredTask]:
    """Return the tasks of a run, those that are mapped by their map index, with what they have left."""
    wanted = [*task_ids]
    left: dict[tuple[str, int], dict[str, Any]] = {}
    xcoms = select(XComModel.task_id, XComModel.map_index, XComModel.key, XComModel.value).where(
        XComModel.dag_run_id == run.id, XComModel.task_id.in_(wanted), XComModel.key.in_([RETURNED, KEY])
    )
    for row in session.execute(xcoms).all():
        left.setdefault((row.task_id, row.map_index), {})[row.key] = row.value
    progress = _progress(session, run, wanted)
    columns = (
        *(TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state, TaskInstance.start_date),
        *(TaskInstance.end_date, TaskInstance.try_number, TaskInstance.max_tries),
    )
    of_run = (TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id, TaskInstance.task_id.in_(wanted))
    rows = session.execute(select(*columns).where(*of_run).order_by(TaskInstance.map_index)).all()
    return [_task(row, left, progress) for row in rows]


def _task(row: Any, left: Mapping[tuple[str, int], Any], progress: Mapping[tuple[str, int], Any]) -> StoredTask:
    place = (row.task_id, row.map_index)
    said, at = progress.get(place, ({}, None))
    # A task that was cleared keeps the progress of its last try until it has its own.
    is_own = row.start_date is not None and at is not None and at >= row.start_date - SKEW and row.state not in WAITING
    return StoredTask(
        task_id=row.task_id,
        map_index=row.map_index,
        state=row.state,
        start=row.start_date,
        end=row.end_date,
        try_number=row.try_number,
        max_tries=row.max_tries,
        returned=left.get(place, {}).get(RETURNED),
        failure=left.get(place, {}).get(KEY),
        progress=said if is_own else {},
    )


def _progress(session: Session, run: StoredRun, task_ids: list[str]) -> dict[tuple[str, int], tuple[Any, datetime]]:
    table = TaskStateStoreModel
    rows = session.execute(
        select(table.task_id, table.map_index, table.value, table.updated_at).where(
            table.dag_run_id == run.id, table.task_id.in_(task_ids), table.key == "progress"
        )
    ).all()
    return {(row.task_id, row.map_index): (json.loads(row.value), row.updated_at) for row in rows}


def sums(session: Session, runs: Iterable[StoredRun], task_ids: Iterable[str]) -> list[Any]:
    """Return the few numbers of what the tasks of runs have returned, or have noted when they failed.

    The database picks them: what a fetch returns has its history, too, which a year of runs needn't send.
    """
    value = XComModel.value
    numbers = {name: value[name] for name in ("parameters", "kinds", "requests", "seconds", "documents", "coverage")}
    numbers |= {"day": value["day"], "counts": value["counts"], "left_out": value["left_out"]}
    columns = [column.label(name) for name, column in numbers.items()]
    statement = select(XComModel.dag_run_id, XComModel.task_id, XComModel.map_index, XComModel.key, *columns).where(
        XComModel.dag_run_id.in_([run.id for run in runs]),
        XComModel.task_id.in_([*task_ids]),
        XComModel.key.in_([RETURNED, KEY]),
    )
    return [*session.execute(statement).all()]


def run_columns() -> Select[Any]:
    """Return the select of runs that `run_of_row` reads."""
    return select(
        *(DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.run_after),
        *(DagRun.start_date, DagRun.end_date, DagRun.triggering_user_name, DagRun.conf, DagRun.backfill_id),
    )


def run_of_row(row: Any) -> StoredRun:
    """Return a run from a row with the columns of `run_columns`."""
    return StoredRun(
        id=row.id,
        dag_id=row.dag_id,
        run_id=row.run_id,
        state=str(getattr(row.state, "value", row.state)),
        run_type=str(getattr(row.run_type, "value", row.run_type)),
        run_after=row.run_after,
        start=row.start_date,
        end=row.end_date,
        by=row.triggering_user_name,
        conf=row.conf or {},
        backfill_id=row.backfill_id,
    )
