"""Which tasks of a DAG are a report's, from the form in which Airflow stores the DAG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

STEPS = ("extract", "fetch", "validate", "load")
# By the operator's name; a subclass of it by the fields that it has, too, or by these and its neighbours.
OPERATORS = {
    "ExtractOperator": "extract",
    "GeventFetchOperator": "fetch",
    "ValidateOperator": "validate",
    "MongoLoadOperator": "load",
}
FIELDS = {
    "fetch": {"request_template", "shard", "refetch"},
    "load": {"parameters", "database", "collection"},
}
# Other operators have such fields, too, but not one of ours after them.
BEFORE_FETCH = ("limit", ".sql")
BEFORE_LOAD = "parameters"


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """One report of a DAG: the tasks of its steps.

    :param name: the id of its task group if that has all of them, else that of its extract task.
    :param tasks: the ids of the tasks of each step.
    :param is_mapped: whether a step's first task is mapped over shards.
    """

    name: str
    tasks: dict[str, tuple[str, ...]]
    is_mapped: bool = False

    @property
    def task_ids(self) -> tuple[str, ...]:
        """All tasks, in the order of the steps."""
        return tuple(task_id for step in STEPS for task_id in self.tasks.get(step, ()))

    def step_of(self, task_id: str) -> str | None:
        """Return the step that a task belongs to; `None` if it is another report's, or none of ours."""
        return next((step for step, task_ids in self.tasks.items() if task_id in task_ids), None)


def outlines(stored: Mapping[str, Any]) -> list[Outline]:
    """Return the reports of a stored DAG, none for a DAG that isn't one.

    A task belongs to the extract that is the fewest steps before it.
    """
    tasks = {task["task_id"]: task for task in map(_fields, stored.get("dag", {}).get("tasks", ()))}
    steps = _steps(tasks)
    nearest: dict[str, tuple[int, str]] = {}
    for extract in (task_id for task_id, step in steps.items() if step == "extract"):
        for distance, task_id in _below(extract, tasks):
            if steps.get(task_id) and (distance, extract) < nearest.get(task_id, (len(tasks) + 1, "")):
                nearest[task_id] = (distance, extract)
    reports = sorted({extract for _, extract in nearest.values()})
    return [_outline(extract, steps, nearest, tasks) for extract in reports]


def _outline(
    extract: str, steps: Mapping[str, str], nearest: Mapping[str, tuple[int, str]], tasks: Mapping[str, Any]
) -> Outline:
    own = sorted((distance, task_id) for task_id, (distance, owner) in nearest.items() if owner == extract)
    of_step: dict[str, tuple[str, ...]] = {}
    for _, task_id in own:
        of_step[steps[task_id]] = (*of_step.get(steps[task_id], ()), task_id)
    groups = {task_id.rpartition(".")[0] for _, task_id in own}
    name = groups.pop() if len(groups) == 1 else ""
    is_mapped = any(tasks[task_id].get("_is_mapped") for task_id in of_step.get("fetch", ()))
    return Outline(name=name or extract, tasks=of_step, is_mapped=is_mapped)


def _fields(task: Mapping[str, Any]) -> Mapping[str, Any]:
    # What Airflow stores of an object is in an envelope with the object's kind.
    fields: Mapping[str, Any] = task.get("__var", task)
    return fields


def _steps(tasks: Mapping[str, Any]) -> dict[str, str]:
    """Return the steps of the tasks that are ours."""
    steps = {task_id: step for task_id, task in tasks.items() if (step := _step(task))}
    for task_id, task in tasks.items():
        after = {steps.get(name) for name in task.get("downstream_task_ids", ())}
        templated = {*task.get("template_fields", ()), *task.get("template_ext", ())}
        if task_id in steps:
            continue
        if templated >= {*BEFORE_FETCH} and after & {"fetch", "validate", "load"}:
            steps[task_id] = "extract"
        elif BEFORE_LOAD in templated and "load" in after:
            steps[task_id] = "validate"
    return steps


def _step(task: Mapping[str, Any]) -> str | None:
    if step := OPERATORS.get(task.get("task_type", "")):
        return step
    templated = {*task.get("template_fields", ())}
    return next((step for step, fields in FIELDS.items() if fields <= templated), None)


def _below(first: str, tasks: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """Yield a task and all that come after it, each with its distance."""
    distance, level, seen = 0, [first], {first}
    while level:
        yield from ((distance, task_id) for task_id in level)
        below = [name for task_id in level for name in tasks[task_id].get("downstream_task_ids", ())]
        level = [name for name in dict.fromkeys(below) if name in tasks and name not in seen]
        seen.update(level)
        distance += 1
