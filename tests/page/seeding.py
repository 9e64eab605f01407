"""Puts runs into an Airflow's database: run as a program in that Airflow's environment, with a folder to stage in."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.deadline_alert import DeadlineAlert
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.task_state_store import TaskStateStoreModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select

from airflow_fanout.notifications.deadline import send_late
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.folder import FolderStore
from tests.page.backfills import make_backfill
from tests.page.left import NOW, TODAY, Left, Seeded
from tests.page.nights import history
from tests.page.people import add_people
from tests.page.rare import rare
from tests.page.states import prepared
from tests.page.teams import ADDRESS, make_team
from tests.staging.objects import store_in_s3


def unpause() -> None:
    """Let all DAGs but one be on time for their next night; there is no scheduler."""
    with create_session() as session:
        for dag in session.scalars(select(DagModel)):
            dag.is_paused = False
            # One waits for a run of two days ago.
            dag.next_dagrun_create_after = TODAY + timedelta(days=-2 if dag.dag_id == "hostile" else 1)


def put(runs: Iterable[Seeded]) -> None:
    """Write runs into the database."""
    with create_session() as session:
        for run in runs:
            dag, version = _dag(run.dag_id, session)
            row = _run_row(run, version)
            session.add(row)
            session.flush()
            tasks = [(task_id, left) for task_id, lefts in run.tasks.items() for left in lefts]
            session.add_all(_task_row(dag.get_task(task_id), row, left, version) for task_id, left in tasks)
            # What a task leaves refers to the task.
            session.flush()
            session.add_all(each for task_id, left in tasks for each in _left_rows(task_id, row, left))


_dags: dict[str, Any] = {}


def _dag(dag_id: str, session: Any) -> Any:
    if dag_id not in _dags:
        stored = SerializedDagModel.get(dag_id, session=session)
        _dags[dag_id] = (stored.dag, DagVersion.get_latest_version(dag_id, session=session).id)
    return _dags[dag_id]


def _run_row(run: Seeded, version: Any) -> DagRun:
    begun = [left.begun for lefts in run.tasks.values() for left in lefts if left.begun]
    ended = [left.ended for lefts in run.tasks.values() for left in lefts if left.ended is not None]
    row = DagRun(
        dag_id=run.dag_id,
        run_id=run.run_id,
        logical_date=run.day,
        data_interval=(run.day, run.day + timedelta(days=1)),
        run_after=run.day + timedelta(days=1),
        run_type=DagRunType(run.run_type),
        state=run.state,
        conf=run.conf,
        triggered_by=DagRunTriggeredByType.TIMETABLE,
        triggering_user_name=run.by,
        start_date=NOW - timedelta(seconds=max(begun, default=0)),
    )
    row.created_dag_version_id = version
    row.end_date = NOW - timedelta(seconds=min(ended)) if ended and run.state in ("success", "failed") else None
    return row


def _task_row(task: Any, run: DagRun, left: Left, version: Any) -> TaskInstance:
    state = None if left.state == "none" else left.state
    row = TaskInstance(task=task, run_id=run.run_id, dag_version_id=version, state=state, map_index=left.index)
    row.try_number = left.tries if left.begun else 0
    row.start_date = NOW - timedelta(seconds=left.begun) if left.begun else None
    row.end_date = None if left.ended is None else NOW - timedelta(seconds=left.ended)
    return row


def _left_rows(task_id: str, run: DagRun, left: Left) -> Iterable[Any]:
    named = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": left.index}
    for key, value in (("return_value", left.returned), ("failure", left.failure)):
        if value is not None:
            yield XComModel(dag_run_id=run.id, key=key, value=value, **named)
    if left.progress is not None:
        text = json.dumps(left.progress)
        yield TaskStateStoreModel(dag_run_id=run.id, key="progress", value=text, updated_at=NOW, **named)


def miss_deadline(dag_id: str) -> None:
    """Give the newest run of a DAG with a deadline its own, which has passed."""
    with create_session() as session:
        of_dag = DeadlineAlert.serialized_dag_id == SerializedDagModel.id
        alert = select(DeadlineAlert.id).join(SerializedDagModel, of_dag).where(SerializedDagModel.dag_id == dag_id)
        newest = select(DagRun.id).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc()).limit(1)
        callback = AsyncCallback(send_late, kwargs={"channels": []})
        missed = NOW - timedelta(minutes=5)
        session.add(Deadline(missed, callback, session.scalars(newest).one(), session.scalars(alert).one(), dag_id))


if __name__ == "__main__":
    staging, s3_options, s3_connection = sys.argv[1:]
    put(history())
    put(prepared(FolderStore(Path(staging), PRIVATE), store_in_s3(json.loads(s3_options), ADDRESS)))
    put(rare())
    unpause()
    add_people()
    miss_deadline("meter_readings")
    with create_session() as session:
        make_backfill(session)
        make_team(session, s3_connection)
