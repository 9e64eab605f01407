"""What a report must be like if validate lets a run pass in part, because a later run asks for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator
from jinja2 import Environment, TemplateSyntaxError, meta

from airflow_fanout.adapters.bound import waits_for_tasks
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.operators.fetch import GeventFetchOperator
from airflow_fanout.operators.load import MongoLoadOperator
from airflow_fanout.operators.validate import ValidateOperator
from airflow_fanout.preflight.arguments import wrong
from airflow_fanout.preflight.templates import texts

if TYPE_CHECKING:
    from airflow.sdk import DAG

# What a template may use that doesn't depend on the run: a date of it comes from the plugin's own macros.
OF_ANY_RUN = frozenset({"macros", "var", "conn"})
DATES = "{{ macros.fanout.day() }} or {{ macros.fanout.as_of() }}"


def check_partial_reports(dag: DAG) -> None:
    """Raise `BadSetting` for what can't stand together with `allow_partial=True`, in the reports of a DAG that have it.

    It is looked at as each task of a report is made, so that the last one of them sees all.
    """
    tasks = [(kind, arguments) for kind, arguments in map(_written, dag.tasks) if kind is not None]
    partial = {
        name
        for kind, arguments in tasks
        if issubclass(kind, ValidateOperator) and arguments.get("allow_partial") is True
        for name in _lists(arguments)
    }
    for kind, arguments in tasks:
        if partial.isdisjoint(_lists(arguments)):
            continue
        if issubclass(kind, MongoLoadOperator) and arguments.get("mode", "upsert") != "upsert":
            _refuse_mode(arguments["mode"])
        elif issubclass(kind, GeventFetchOperator):
            request = arguments.get("request") or arguments.get("written") or arguments.get("function")
            _check_request(request, dag)
            _check_templates("values", arguments.get("values") or {}, dag)


def _written(task: Any) -> tuple[type[Any] | None, Mapping[str, Any]]:
    """Return the class of a report's task, and its arguments as they are written; `None` for another task."""
    if isinstance(task, MappedOperator):
        expanded = task.expand_input.value
        return task.operator_class, {**task.partial_kwargs, **(expanded if isinstance(expanded, Mapping) else {})}
    if isinstance(task, GeventFetchOperator | ValidateOperator | MongoLoadOperator):
        return type(task), vars(task)
    return None, {}


def _lists(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the extracts whose lists a task takes."""
    for name in ("parameters", "shard"):
        for operator, _ in XComArg.iter_xcom_references(arguments.get(name)):
            yield operator.task_id


def _refuse_mode(mode: str) -> None:
    raise BadSetting(
        "mode",
        mode,
        '"upsert", because validate has allow_partial=True: a later run loads what this one left out, and this mode '
        "would remove everything else for it",
    )


def _check_request(request: Any, dag: DAG) -> None:
    functions = request.functions().values() if isinstance(request, Request) else [request] if request else []
    if any(map(waits_for_tasks, functions)):
        raise wrong("request", "functools.partial", _of_this_run("request", "another task's XCom in a partial"))
    if isinstance(request, Request):
        _check_templates("request", request.template(), dag)


def _check_templates(field: str, written: Mapping[str, Any], dag: DAG) -> None:
    if any(True for _ in XComArg.iter_xcom_references(written)):
        raise wrong(field, [*written], _of_this_run(field, "another task's XCom"))
    known = {*OF_ANY_RUN, *(dag.user_defined_macros or ())}
    for name in _names(texts(written), dag.get_template_env()):
        if name not in known:
            raise wrong(field, [*written], _of_this_run(field, f"{{{{ {name} }}}}"))


def _of_this_run(field: str, what: str) -> str:
    return (
        f"{field} uses {what}, which belongs to the run that asks. With allow_partial=True, a later run asks for what "
        f"this one left out, with this one's date: for a date write {DATES}; `var`, `conn` and macros are allowed, too"
    )


def _names(written: Iterable[str], environment: Environment) -> Iterator[str]:
    """Yield the names that templates take from the context."""
    for text in written:
        try:
            yield from sorted(meta.find_undeclared_variables(environment.parse(text)))
        except TemplateSyntaxError:
            # Whoever renders it says so.
            continue
