"""What Airflow's database knows of reports. No other file of the page knows its tables, which move between versions.

Each function sends the same number of statements, however many runs, tasks and shards there are.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Select, func, select

from airflow_fanout.alerts.note import KEY
from airflow_fanout.page.outline import Outline, outlines
from airflow_fanout.page.rows import RETURNED, StoredRun, StoredTask

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# States of a task that was cleared, or hasn't begun.
WAITING = (None, "none", "scheduled", "queued", "upstream_failed", "skipped", "removed")
# The start of a task is by its worker's clock, the moment of its progress by the API server's.
SKEW = timedelta(seconds=10)
# A DAG that has changed has another digest: the outlines of those that haven't are kept.
MOST_OUTLINES = 5_000
_outlines: dict[str, list[Outline]] = {}


def outlines_by_dag(session: Session, dag_ids: Collection[str] | None = None) -> dict[str, list[Outline]]:
    """Return the reports of DAGs, by the DAG's id; a DAG without one is left out.

    :param dag_ids: of which DAGs; by default of all.
    """
    newest = select(SerializedDagModel.dag_id, func.max(SerializedDagModel.created_at).label("at"))
    if dag_ids is not None:
        newest = newest.where(SerializedDagModel.dag_id.in_(dag_ids))
    latest = newest.group_by(SerializedDagModel.dag_id).subquery()
    is_latest = (SerializedDagModel.dag_id == latest.c.dag_id) & (SerializedDagModel.created_at == latest.c.at)
    digests = session.execute(
        select(SerializedDagModel.dag_id, SerializedDagModel.dag_hash, SerializedDagModel.id).join(latest, is_latest)
    ).all()
    _learn(session, [row.id for row in digests if row.dag_hash not in _outlines])
    known = {row.dag_id: _outlines.get(row.dag_hash, []) for row in digests}
    return {dag_id: reports for dag_id, reports in known.items() if reports}


def _learn(session: Session, ids: Collection[Any]) -> None:
    if len(_outlines) > MOST_OUTLINES:
        _outlines.clear()
    if not ids:
        return
    for dag in session.scalars(select(SerializedDagModel).where(SerializedDagModel.id.in_(ids))):
        _outlines[dag.dag_hash] = outlines(dag.data or {})


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


def next_runs(session: Session, dag_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return of each DAG, by its id, whether it is `paused`, and when its next run is `due`.

    `due` is a time with a zone; `None` if no run is to come. A DAG that isn't there is left out.
    """
    columns = (DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after)
    rows = session.execute(select(*columns).where(DagModel.dag_id.in_([*dag_ids]))).all()
    return {row.dag_id: {"paused": bool(row.is_paused), "due": row.next_dagrun_create_after} for row in rows}


def stored_run(session: Session, dag_id: str, run_id: str) -> StoredRun | None:
    """Return a run; `None` if there is none with this id."""
    row = session.execute(_runs().where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).first()
    return None if row is None else _run(row)


def newest_runs(session: Session, dag_ids: Iterable[str], most: int) -> list[StoredRun]:
    """Return the newest runs of each DAG, at most so that each has this many, the newest first."""
    place = func.row_number().over(partition_by=DagRun.dag_id, order_by=DagRun.run_after.desc()).label("place")
    ranked = select(DagRun.id.label("id"), place).where(DagRun.dag_id.in_([*dag_ids])).subquery()
    statement = _runs().join(ranked, ranked.c.id == DagRun.id).where(ranked.c.place <= most)
    return [_run(row) for row in session.execute(statement.order_by(DagRun.run_after.desc())).all()]


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


def _runs() -> Select[Any]:
    return select(
        *(DagRun.id, DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.run_after),
        *(DagRun.start_date, DagRun.end_date, DagRun.triggering_user_name, DagRun.conf, DagRun.backfill_id),
    )


def _run(row: Any) -> StoredRun:
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
