"""What the page asks for each second or once: a run, a report over time, all reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends

from airflow_fanout.adapters.secret_names import secret_names
from airflow_fanout.page import stored
from airflow_fanout.page.errors import NotShown
from airflow_fanout.page.guards import READS_REPORT, reads_report
from airflow_fanout.page.known_dag import KnownDag
from airflow_fanout.page.late import late
from airflow_fanout.page.report_view import MOST_RUNS, backfill_view, report_view
from airflow_fanout.page.reports_view import RECENT_RUNS, reports_view
from airflow_fanout.page.rows import StoredRun
from airflow_fanout.page.run_view import run_view
from airflow_fanout.page.stored_backfills import backfill_days, backfills

router = APIRouter(prefix="/data")
GUARDS = [Depends(guard) for guard in READS_REPORT]


@router.get("/reports")
def all_reports(session: SessionDep, user: GetUserDep) -> list[dict[str, Any]]:
    """Return a row for each report whose page the user may see."""
    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET", session=session)
    known, now = stored.known_dags(session, readable), datetime.now(UTC)
    teams = stored.teams_of(session, known)
    # A right to read DAGs alone isn't enough: a row shows a run's state and what its load returned.
    dags = {dag_id: dag for dag_id, dag in known.items() if reads_report(user, dag_id, teams.get(dag_id))}
    runs = stored.newest_runs(session, dags, RECENT_RUNS)
    loads = {task_id for dag in dags.values() for report in dag.reports for task_id in report.tasks.get("load", ())}
    sums = stored.sums(session, runs, loads)
    passed = stored.passed_deadlines(session, runs, now)
    return reports_view(dags, runs, sums, stored.next_runs(session, dags), passed, now)


@router.get("/dags/{dag_id}", dependencies=GUARDS)
def report(dag_id: str, session: SessionDep) -> dict[str, Any]:
    """Return a DAG's reports over time, of at most its `MOST_RUNS` newest runs; see `report_view`.

    :raises NotShown: for a DAG that isn't there.
    """
    dag, now = known_dag(session, dag_id), datetime.now(UTC)
    runs = stored.newest_runs(session, [dag_id], MOST_RUNS)
    sums = stored.sums(session, runs, dag.task_ids)
    following = stored.next_runs(session, [dag_id])[dag_id]
    passed = stored.passed_deadlines(session, runs[:RECENT_RUNS], now)
    missed = late(runs[:RECENT_RUNS], passed, following, dag.deadlines, now)
    return report_view(dag_id, dag, runs, sums, following, missed, backfills(session, dag_id))


@router.get("/dags/{dag_id}/backfills/{backfill_id}", dependencies=GUARDS)
def backfill(dag_id: str, backfill_id: int, session: SessionDep) -> dict[str, Any]:
    """Return a backfill with its days; see `backfill_view`.

    :raises NotShown: for a DAG or a backfill that isn't there.
    """
    dag = known_dag(session, dag_id)
    wanted = backfills(session, dag_id, backfill_id)
    if not wanted:
        raise NotShown("There is no such backfill of this DAG.")
    days = backfill_days(session, dag_id, backfill_id)
    sums = stored.sums(session, [day.run for day in days if day.run], dag.task_ids)
    return backfill_view(dag_id, dag, wanted[0], days, sums)


@router.get("/dags/{dag_id}/runs/{run_id}", dependencies=GUARDS)
def run(dag_id: str, run_id: str, session: SessionDep) -> dict[str, Any]:
    """Return a run, as far as it is at this moment; see `run_view`.

    :raises NotShown: for a DAG or a run that isn't there.
    """
    dag = known_dag(session, dag_id)
    known = run_of(session, dag_id, run_id)
    tasks = stored.stored_tasks(session, known, dag.task_ids)
    return run_view(known, dag, tasks, datetime.now(UTC), secret_names())


def known_dag(session: SessionDep, dag_id: str) -> KnownDag:
    """Return what is known of a DAG; raise `NotShown` for a DAG that isn't there."""
    if not stored.is_dag(session, dag_id):
        raise NotShown("There is no such DAG.")
    return stored.known_dags(session, [dag_id]).get(dag_id, KnownDag())


def run_of(session: SessionDep, dag_id: str, run_id: str) -> StoredRun:
    """Return a run of a DAG; raise `NotShown` for one that isn't there."""
    if (known := stored.stored_run(session, dag_id, run_id)) is None:
        raise NotShown("There is no such run.")
    return known
