"""The other tasks of a report, found in the DAG: those that take the list of its extract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import BaseOperator, XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator

if TYPE_CHECKING:
    from airflow.sdk import DAG

# What names the list: extract's whole output, or one element of it.
LISTED = ("parameters", "shard")


class ReportTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that takes the list.

    :param operator: the task's operator; of a mapped task, one that is made of what `partial` was given. `None` if it
        can't be made before the task is expanded.
    :param problem: why the operator can't be made of that.
    :param mapped_over: the arguments besides the list that are known only when the task is expanded.
    :param is_mapped: whether the task is mapped over the list.
    :param elsewhere: why another worker may run it; `None` if nothing says so.
    """

    task_id: str
    operator: Any = None
    problem: str | None = None
    mapped_over: tuple[str, ...] = ()
    is_mapped: bool = False
    elsewhere: str | None = None


def tasks_of(extract: BaseOperator, dag: DAG, kind: type[BaseOperator]) -> Iterator[ReportTask]:
    """Yield the tasks of a kind that take the extract's list, mapped ones too."""
    for task, listed in _of_kind(dag, kind):
        references = (referenced for value in listed for referenced, _ in XComArg.iter_xcom_references(value))
        if any(referenced.task_id == extract.task_id for referenced in references):
            yield _report_task(task, extract)


def of_unknown_list(dag: DAG, kind: type[BaseOperator]) -> list[str]:
    """Return the ids of the tasks of a kind whose list is named by a text, so that nobody knows whose it is."""
    return [task.task_id for task, listed in _of_kind(dag, kind) if any(isinstance(value, str) for value in listed)]


def _of_kind(dag: DAG, kind: type[BaseOperator]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the tasks of a kind, mapped ones too, each with what may name its list."""
    task: Any
    for task in dag.tasks:
        if not isinstance(task, MappedOperator):
            if isinstance(task, kind):
                yield task, [getattr(task, name, None) for name in LISTED]
        elif issubclass(task.operator_class, kind):
            yield task, [*(task.partial_kwargs.get(name) for name in LISTED), *_expanded(task).values()]


def _expanded(task: Any) -> dict[str, Any]:
    # `expand` has a value for each argument; `expand_kwargs` has one that gives all of them.
    expanded = task.expand_input.value
    return expanded if isinstance(expanded, dict) else {"expand_kwargs": expanded}


def _report_task(task: Any, extract: BaseOperator) -> ReportTask:
    placing = ("queue", "executor", "executor_config")
    unlike = [name for name in placing if (getattr(task, name, None) or None) != (getattr(extract, name, None) or None)]
    elsewhere = f"another worker may run it, because its {unlike[0]} isn't extract's" if unlike else None
    if not isinstance(task, MappedOperator):
        return ReportTask(task_id=task.task_id, operator=task, elsewhere=elsewhere)
    others = tuple(name for name in _expanded(task) if name not in LISTED)
    if others:
        return ReportTask(task_id=task.task_id, mapped_over=others, is_mapped=True, elsewhere=elsewhere)
    # A stand-in for the list, which these checks come before.
    listed = {name: {"directory": ""} for name in _expanded(task)}
    try:
        operator = task.operator_class(task_id=task.task_id, **{**task.partial_kwargs, **listed})
    except Exception as error:  # noqa: BLE001 - what a constructor says, of ours or of an author's subclass
        return ReportTask(task_id=task.task_id, problem=str(error), is_mapped=True, elsewhere=elsewhere)
    return ReportTask(task_id=task.task_id, operator=operator, is_mapped=True, elsewhere=elsewhere)
