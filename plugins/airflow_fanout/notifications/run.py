"""What Airflow knows of a run that is over: from a callback's context to facts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec
from airflow.sdk.configuration import conf

from airflow_fanout.adapters.secret_names import secret_names
from airflow_fanout.alerts.failed import FailedRun, FailedTask, failed
from airflow_fanout.alerts.message import Alert, Pages
from airflow_fanout.alerts.note import KEY, FailureNote
from airflow_fanout.alerts.recovered import Effort
from airflow_fanout.alerts.started import Started, shown_params
from airflow_fanout.errors import FanoutError
from airflow_fanout.model.as_of import of_context
from airflow_fanout.staging.open_failures import ReportRun

log = logging.getLogger(__name__)
PACKAGE = "airflow_fanout."
# By the operator's name; a subclass has its ancestor's step.
STEPS = {
    "ExtractOperator": "extract",
    "GeventFetchOperator": "fetch",
    "ValidateOperator": "validate",
    "MongoLoadOperator": "load",
}


def pages(dag_id: str) -> Pages:
    """Return the addresses of a DAG's pages; none if nobody has told Airflow its own address."""
    return Pages(conf.get("api", "base_url", fallback="") or "", dag_id)


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


def started_of(context: Mapping[str, Any]) -> Started:
    """Return how the run of a context came about, with its params masked."""
    run = context.get("dag_run")
    if run is None:
        return Started()
    try:
        params = tuple(shown_params(run.conf or {}, _choices(context["dag"].params), secret_names()))
        return Started(str(getattr(run.run_type, "value", run.run_type)), run.triggering_user_name, params)
    except Exception:
        # Without it the message is poorer; without the message, nobody knows of the run.
        log.warning("How the run came about can't be read.", exc_info=True)
        return Started()


def _choices(params: Any) -> dict[str, list[Any]]:
    """Return the values that a DAG itself lists for its params; their defaults may be those of another run by now."""
    schemas = {name: params.get_param(name).schema for name in params}
    return {name: [*(schema.get("enum") or ()), *(schema.get("examples") or ())] for name, schema in schemas.items()}


def effort_of(context: Mapping[str, Any]) -> Effort:
    """Return what it took until the run of a context was good, as far as its tasks say so."""
    run = context["dag_run"]
    ended, cleared = run.end_date or datetime.now(UTC), run.clear_number or 0
    try:
        fetches, loads = [*_returned(context, "fetch")], [*_returned(context, "load")]
    except Exception:
        log.warning("What the tasks have returned can't be read.", exc_info=True)
        return Effort(ended=ended, cleared=cleared)
    return Effort(
        ended=ended,
        cleared=cleared,
        requests=_total(fetches, "requests") if fetches else None,
        parameters=_total(fetches, "done") - _total(fetches, "resumed"),
        seconds=max((fetch.get("seconds") or 0.0 for fetch in fetches), default=0.0),
        documents=_total(loads, "documents") if loads else None,
    )


def _total(numbers: Iterable[Mapping[str, Any]], name: str) -> int:
    return sum(each.get(name) or 0 for each in numbers)


def _returned(context: Mapping[str, Any], step: str) -> Iterator[Mapping[str, Any]]:
    """Yield what the tasks of a step have returned, each shard for itself."""
    from airflow.sdk.execution_time.xcom import XCom

    dag = context["dag"]
    for task_id in [task.task_id for task in dag.tasks if step_of(task) == step]:
        values = XCom.get_all(key="return_value", dag_id=dag.dag_id, task_id=task_id, run_id=context["run_id"]) or []
        yield from (value for value in values if isinstance(value, Mapping))


def step_of(task: Any) -> str:
    """Return which step of a report a task is, mapped or not; "" for none."""
    kind = getattr(task, "operator_class", type(task))
    ours = (ancestor for ancestor in kind.__mro__ if ancestor.__module__.startswith(PACKAGE))
    return next((step for ancestor in ours if (step := STEPS.get(ancestor.__name__))), "")


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
        started=started_of(context),
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
            note = notes.get(map_index)
            yield FailedTask(task_id=task_id, map_index=map_index, note=note, ours=ours, step=step_of(task))


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
