"""The four steps of a report in one run, as numbers: of each step one state, and the sums over its shards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_fanout.model.progress import sum_of_limits
from airflow_fanout.page.outline import STEPS, Outline
from airflow_fanout.page.rows import StoredTask

# The state of a step is the first one of these that one of its tasks has.
STATES = (
    *("failed", "upstream_failed", "running", "restarting", "up_for_retry", "deferred", "up_for_reschedule"),
    *("queued", "scheduled", "none", "skipped", "removed", "success"),
)
# Airflow gives some of these times, too.
NOT_BEGUN = (None, "none", "scheduled", "queued", "upstream_failed", "skipped", "removed")
SUMMED = ("parameters", "done", "ok", "resumed", "requests", "in_flight", "waiting", "items", "total")


def steps_of(outline: Outline, tasks: Sequence[StoredTask], now: datetime) -> list[dict[str, Any]]:
    """Return the steps of a report, in order; one that the DAG doesn't have is left out."""
    by_step = {step: [task for task in tasks if outline.step_of(task.task_id) == step] for step in STEPS}
    steps = {step: _step(step, outline.tasks[step], by_step[step], now) for step in STEPS if outline.tasks.get(step)}
    if {"extract", "fetch"} <= steps.keys():
        listed, fetch = steps["extract"]["numbers"].get("parameters"), steps["fetch"]
        # A shard that hasn't begun doesn't know yet how many parameters it has.
        if listed and any("parameters" not in shard["numbers"] for shard in fetch["shards"]):
            fetch["numbers"]["parameters"] = listed
    return [*steps.values()]


def _step(name: str, task_ids: Sequence[str], tasks: Sequence[StoredTask], now: datetime) -> dict[str, Any]:
    begun_ones = [task for task in tasks if task.state not in NOT_BEGUN]
    starts = [task.start for task in begun_ones if task.start]
    ends = [task.end for task in begun_ones if task.end]
    state = state_of(task.state for task in tasks)
    end = max(ends, default=None) if state in ("success", "failed", "skipped") else None
    begun = min(starts, default=None)
    shards = [_shard(task) for task in tasks]
    return {
        "name": name,
        "task_ids": [*task_ids],
        "state": state,
        "start": begun,
        "end": end,
        "seconds": None if begun is None else ((end or now) - begun).total_seconds(),
        "tries": max((task.try_number for task in tasks), default=0),
        "max_tries": max((task.max_tries for task in tasks), default=0) + 1,
        "numbers": _sums(shards),
        "shards": shards if len(shards) > 1 else [],
        "failures": [_failure(task) for task in tasks if task.state in ("failed", "up_for_retry")],
    }


def state_of(states: Iterable[str | None]) -> str:
    """Return the state of several tasks as one: the first of `STATES` that any of them has.

    Without a task, or before any has begun, it is `none`.
    """
    known = {state or "none" for state in states}
    return next((state for state in STATES if state in known), "none")


def _shard(task: StoredTask) -> dict[str, Any]:
    return {"map_index": task.map_index, "state": task.state or "none", "numbers": numbers_of(task)}


def numbers_of(task: StoredTask) -> dict[str, Any]:
    """Return what a task says of itself: what it has returned, else how far it is.

    An extract that cuts its list into shards returns the same counts for each of them.
    """
    returned = task.returned if task.state == "success" else None
    if isinstance(returned, list):
        returned = returned[0] if returned and isinstance(returned[0], Mapping) else None
    numbers = {**task.progress, **(returned if isinstance(returned, Mapping) else {})}
    if returned is not None:
        # They are about the moment of the last progress.
        passing = ("left_s", "waits_for", "wait", "waiting")
        numbers = {name: value for name, value in numbers.items() if name not in passing}
    # Where the list is, only the server needs to know.
    return {name: value for name, value in numbers.items() if name != "directory"}


def _sums(shards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the numbers of a step; of one task these are its own."""
    parts = [shard["numbers"] for shard in shards]
    if len(parts) == 1:
        return dict(parts[0])
    moving = [shard["numbers"] for shard in shards if _is_moving(shard)]
    sums: dict[str, Any] = {name: total for name in SUMMED if (total := _sum(parts, name)) is not None}
    sums |= {"kinds": _counts(parts, "kinds"), "failures": _counts(parts, "failures")}
    # Of shards side by side, the slowest is what somebody waits for.
    for name in ("p50_ms", "p95_ms", "p99_ms", "seconds"):
        sums[name] = max((part[name] for part in parts if part.get(name) is not None), default=None)
    sums["rate_per_s"] = _sum(moving or parts, "rate_per_s") or 0.0
    left = (sums.get("parameters") or 0) - (sums.get("done") or 0)
    sums["left_s"] = round(left / sums["rate_per_s"]) if moving and sums["rate_per_s"] else None
    sums["limits"] = sum_of_limits([part["limits"] for part in moving if part.get("limits")])
    if budgets := [part["budget"] for part in moving or parts if part.get("budget")]:
        # All of them are fetches of the same budget, each with its own share.
        sums["budget"] = {**budgets[-1], "share_per_s": _sum(budgets, "share_per_s")}
    return sums | _waits(moving)


def _is_moving(shard: Mapping[str, Any]) -> bool:
    numbers = shard["numbers"]
    return shard["state"] not in ("failed", "success") and (numbers.get("done") or 0) < (numbers.get("parameters") or 0)


def _counts(parts: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    """Return the sums of what each part counts by a name of its own."""
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.get(name) or {})
    return dict(counts)


def _waits(moving: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a step waits for, and until when: one shard that waits is worth a sentence if nothing else moves."""
    first = moving[0] if moving and all(part.get("waits_for") for part in moving) else {}
    untils = (part["deferred_until"] for part in moving if part.get("deferred_until"))
    return {
        "waits_for": first.get("waits_for"),
        "wait": first.get("wait"),
        "deferred_until": min(untils, default=None),
    }


def _sum(parts: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [part[name] for part in parts if isinstance(part.get(name), int | float)]
    return sum(values) if values else None


def _failure(task: StoredTask) -> dict[str, Any]:
    note = task.failure if isinstance(task.failure, Mapping) else {}
    counts = note.get("counts") if isinstance(note.get("counts"), Mapping) else None
    return {
        "task_id": task.task_id,
        "map_index": task.map_index,
        "error": note.get("error"),
        "message": note.get("message"),
        "counts": counts,
    }
