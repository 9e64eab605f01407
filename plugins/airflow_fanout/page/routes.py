"""What the page asks for each second or once: a run, a report over time, all reports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends

from airflow_fanout.page import stored
from airflow_fanout.page.errors import NotShown
from airflow_fanout.page.guards import READS_REPORT, reads_report
from airflow_fanout.page.outline import Outline
from airflow_fanout.page.report_view import MOST_RUNS, report_view
from airflow_fanout.page.reports_view import RECENT_RUNS, reports_view
from airflow_fanout.page.rows import StoredRun
from airflow_fanout.page.run_view import run_view

router = APIRouter(prefix="/data")
GUARDS = [Depends(guard) for guard in READS_REPORT]


@router.get("/reports")
def all_reports(session: SessionDep, user: GetUserDep) -> list[dict[str, Any]]:
    """Return a row for each report whose page the user may see."""
    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET", session=session)
    known = stored.outlines_by_dag(session, readable)
    teams = stored.teams_of(session, known)
    # A right to read DAGs alone isn't enough: a row shows a run's state and what its load returned.
    outlines = {dag_id: reports for dag_id, reports in known.items() if reads_report(user, dag_id, teams.get(dag_id))}
    runs = stored.newest_runs(session, outlines, RECENT_RUNS)
    loads = {task_id for reports in outlines.values() for report in reports for task_id in report.tasks.get("load", ())}
    sums = stored.sums(session, runs, loads)
    return reports_view(outlines, runs, sums, stored.next_runs(session, outlines))


@router.get("/dags/{dag_id}", dependencies=GUARDS)
def report(dag_id: str, session: SessionDep) -> dict[str, Any]:
    """Return a DAG's reports over time, of at most its `MOST_RUNS` newest runs; see `report_view`.

    :raises NotShown: for a DAG that isn't there.
    """
    outlines = outlines_of(session, dag_id)
    runs = stored.newest_runs(session, [dag_id], MOST_RUNS)
    sums = stored.sums(session, runs, [task_id for outline in outlines for task_id in outline.task_ids])
    return report_view(dag_id, outlines, runs, sums, stored.next_runs(session, [dag_id])[dag_id])


@router.get("/dags/{dag_id}/runs/{run_id}", dependencies=GUARDS)
def run(dag_id: str, run_id: str, session: SessionDep) -> dict[str, Any]:
    """Return a run, as far as it is at this moment; see `run_view`.

    :raises NotShown: for a DAG or a run that isn't there.
    """
    outlines = outlines_of(session, dag_id)
    known = run_of(session, dag_id, run_id)
    tasks = stored.stored_tasks(session, known, [task_id for outline in outlines for task_id in outline.task_ids])
    return run_view(known, outlines, tasks, datetime.now(UTC))


def outlines_of(session: SessionDep, dag_id: str) -> list[Outline]:
    """Return the reports of a DAG; raise `NotShown` for a DAG that isn't there."""
    if not stored.is_dag(session, dag_id):
        raise NotShown("There is no such DAG.")
    return stored.outlines_by_dag(session, [dag_id]).get(dag_id, [])


def run_of(session: SessionDep, dag_id: str, run_id: str) -> StoredRun:
    """Return a run of a DAG; raise `NotShown` for one that isn't there."""
    if (known := stored.stored_run(session, dag_id, run_id)) is None:
        raise NotShown("There is no such run.")
    return known
