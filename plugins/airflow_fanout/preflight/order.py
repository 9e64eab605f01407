"""Whether a report's tasks come after each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def order_problems(
    downstream: Mapping[str, Collection[str]],
    *,
    fetches: Collection[str],
    validates: Collection[str],
    loads: Collection[str],
) -> dict[str, str]:
    """Return by task what is wrong with its place: it would run before what it needs, or beside it.

    :param downstream: the ids of the tasks that come directly after each task.
    """
    problems = {}
    for later, earlier, what in ((validates, fetches, "fetch"), (loads, validates, "validate")):
        for task in sorted(later):
            missing = [before for before in sorted(earlier) if task not in _after(before, downstream)]
            if missing:
                problems[task] = (
                    f"it doesn't come after {missing[0]}, so it would not wait for it. Chain the tasks: "
                    "extract >> fetch >> validate >> load"
                )
            elif not earlier and what == "validate":
                problems[task] = "no ValidateOperator takes the same list, and load writes only what one has passed"
    return problems


def _after(task: str, downstream: Mapping[str, Collection[str]]) -> set[str]:
    later: set[str] = set()
    ahead = list(downstream.get(task, ()))
    while ahead:
        if (name := ahead.pop()) not in later:
            later.add(name)
            ahead.extend(downstream.get(name, ()))
    return later
