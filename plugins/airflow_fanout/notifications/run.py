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
from airflow_fanout.staging.open_failures import ReportRun

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
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        by_run = RuntimeTaskInstance.get_task_states(dag.dag_id, run_ids=[context["run_id"]])
        states: Mapping[str, str] = by_run.get(context["run_id"], {})
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


def _failed_tasks(context: Mapping[str, Any], states: Mapping[str, str]) -> Iterator[FailedTask]:
    """Yield the failed tasks in the DAG's order, with the notes that those of the plugin have left."""
    from airflow.sdk.execution_time.xcom import XCom

    dag = context["dag"]
    order = list(dag.task_ids)
    failed_indexes: dict[str, list[int]] = {}
    for name in [name for name, state in states.items() if state == "failed"]:
        # Airflow gives a mapped task and its map index as one text, `fetch_2`.
        task_id, _, index = (name, "", "-1") if name in order else name.rpartition("_")
        failed_indexes.setdefault(task_id, []).append(int(index))
    for task_id in sorted(failed_indexes, key=order.index):
        values = XCom.get_all(key=KEY, dag_id=dag.dag_id, task_id=task_id, run_id=context["run_id"]) or []
        notes = {note.map_index: note for note in msgspec.convert(values, list[FailureNote])}
        task = dag.get_task(task_id)
        kind = getattr(task, "operator_class", type(task))
        ours = any(ancestor.__module__.startswith(PACKAGE) for ancestor in kind.__mro__)
        for map_index in sorted(failed_indexes[task_id]):
            yield FailedTask(task_id=task_id, map_index=map_index, note=notes.get(map_index), ours=ours)


def run_of(context: Mapping[str, Any]) -> ReportRun | None:
    """Return the run of a context; `None` if Airflow doesn't tell which."""
    run = context.get("dag_run")
    if run is None:
        return None
    return ReportRun(
        run_id=run.run_id,
        as_of=date_of(context) or run.run_after,
        made_by=str(run.run_type.value),
        started=run.start_date or run.run_after,
    )
