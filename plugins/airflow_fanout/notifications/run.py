"""What Airflow knows of a run that is over: from a callback's context to facts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec
from airflow.sdk.configuration import conf

from airflow_fanout.alerts.failed import FailedRun, FailedTask, failed
from airflow_fanout.alerts.message import Alert, Pages
from airflow_fanout.alerts.note import KEY, FailureNote
from airflow_fanout.errors import FanoutError
from airflow_fanout.model.as_of import of_context
from airflow_fanout.staging.open_failures import OpenFailure, Run

log = logging.getLogger(__name__)
PACKAGE = "airflow_fanout."


def pages(dag_id: str) -> Pages:
    """Return the addresses of a DAG's pages."""
    # The default is that of Airflow's own links.
    return Pages(conf.get("api", "base_url", fallback="") or "http://localhost:8080", dag_id)


def zone_of(context: Mapping[str, Any]) -> tzinfo:
    """Return the report's time zone: that of its DAG."""
    zone: tzinfo = context["dag"].timezone or UTC
    return zone


def date_of(context: Mapping[str, Any]) -> datetime | None:
    """Return the one date of a context's run; `None` if Airflow doesn't tell of the run, or it has none."""
    try:
        return of_context(context).moment if context.get("dag_run") else None
    except FanoutError:
        # A wrong date may be what the run has failed with.
        return None


def failed_alert(context: Mapping[str, Any]) -> Alert:
    """Return the message about the run of a context, with as much as can be known of it."""
    dag = context["dag"]
    tasks: tuple[FailedTask, ...] = ()
    waiting: tuple[str, ...] = ()
    problem = ""
    try:
        states = _states(dag.dag_id, context["run_id"])
        tasks = tuple(_failed_tasks(context, states))
        waiting = tuple(name for name in dag.task_ids if states.get(name) == "upstream_failed")
    except Exception as error:
        log.warning("What has failed can't be read.", exc_info=True)
        problem = f"The failed tasks and their errors could not be read ({type(error).__name__}); see the run's page."
    facts = FailedRun(
        run_id=context["run_id"],
        as_of=date_of(context),
        zone=zone_of(context),
        reason=str(context.get("reason") or ""),
        tasks=tasks,
        waiting=waiting,
        problem=problem,
    )
    return failed(facts, pages(dag.dag_id))


def _states(dag_id: str, run_id: str) -> dict[str, str]:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    found: dict[str, str] = RuntimeTaskInstance.get_task_states(dag_id, run_ids=[run_id]).get(run_id, {})
    return found


def _failed_tasks(context: Mapping[str, Any], states: Mapping[str, str]) -> Iterator[FailedTask]:
    dag = context["dag"]
    failing = [_instance(name, dag.task_ids) for name, state in states.items() if state == "failed"]
    order = list(dag.task_ids)
    for task_id in sorted({name for name, _ in failing}, key=order.index):
        notes = _notes(dag.dag_id, context["run_id"], task_id)
        ours = _is_ours(dag.get_task(task_id))
        for index in sorted(index for name, index in failing if name == task_id):
            yield FailedTask(task_id=task_id, map_index=index, note=notes.get(index), ours=ours)


def _instance(name: str, task_ids: list[str]) -> tuple[str, int]:
    """Return a task and its map index, which Airflow gives as one text, `fetch_2`."""
    if name in task_ids:
        return name, -1
    task_id, _, index = name.rpartition("_")
    return task_id, int(index)


def _notes(dag_id: str, run_id: str, task_id: str) -> dict[int, FailureNote]:
    from airflow.sdk.execution_time.xcom import XCom

    values = XCom.get_all(key=KEY, dag_id=dag_id, task_id=task_id, run_id=run_id) or []
    return {note.map_index: note for note in msgspec.convert(values, list[FailureNote])}


def _is_ours(task: Any) -> bool:
    kind = getattr(task, "operator_class", type(task))
    return any(ancestor.__module__.startswith(PACKAGE) for ancestor in kind.__mro__)


def run_of(context: Mapping[str, Any]) -> Run | None:
    """Return the run of a context; `None` if Airflow doesn't tell which."""
    run = context.get("dag_run")
    if run is None:
        return None
    return Run(
        run_id=run.run_id,
        as_of=date_of(context) or run.run_after,
        made_by=str(run.run_type.value),
        started=run.start_date or run.run_after,
    )


def open_failure_of(run: Run, now: datetime) -> OpenFailure:
    """Return the failure of a run, to be remembered until its recovery."""
    return OpenFailure(run_id=run.run_id, as_of=run.as_of, made_by=run.made_by, since=now)
