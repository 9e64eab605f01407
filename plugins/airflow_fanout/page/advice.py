"""What to do now: the one action that is right in the state of a report's run, and where the runbook says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from airflow_fanout.alerts.recovered import duration
from airflow_fanout.page.words import counted, missing_of


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about a failure.

    :param section: the anchor of the runbook's section.
    :param label: what the button says; empty if no button is right.
    :param before: what has to be done first; empty for nothing.
    :param cost: what the button causes.
    :param task_ids: which tasks it clears, with all that come after them.
    """

    section: str
    label: str = ""
    before: str = ""
    cost: str = ""
    task_ids: tuple[str, ...] = ()


def advice_on(steps: Sequence[Mapping[str, Any]]) -> Advice | None:
    """Return what to do about a report's run; `None` if nothing has failed."""
    failed = next((step for step in steps if step["state"] == "failed"), None)
    if failed is None:
        return None
    by_name = {step["name"]: step for step in steps}
    tasks: tuple[str, ...] = tuple(failed["task_ids"])
    if not any(failure["message"] for failure in failed["failures"]):
        return Advice(section="the-task-ended-without-a-word", label=f"Run {failed['name']} again", task_ids=tasks)
    if failed["name"] == "extract":
        before = (
            "Fix what the message names. If a param is wrong, trigger a new run instead: this one keeps its params."
        )
        cost = "The list is read again, and everything on it is requested."
        label = "Read the list again"
        return Advice(section="failed-in-extract", label=label, before=before, cost=cost, task_ids=tasks)
    if failed["name"] == "fetch":
        return _on_fetch(failed, tasks)
    if failed["name"] == "validate":
        return _on_validate(failed, by_name)
    before, cost = "Fix what the message names.", "Nothing is requested. Documents that were written are replaced."
    return Advice(section="failed-in-load", label="Load again", before=before, cost=cost, task_ids=tasks)


def _on_fetch(failed: Mapping[str, Any], tasks: tuple[str, ...]) -> Advice:
    counts, numbers = missing_of(failed), failed["numbers"]
    label = f"Fetch the missing {counts[0]:,} again" if counts and counts[0] else "Fetch again"
    cost = _requests(counts[0] if counts else 0, numbers)
    # Whoever has stopped it knows why.
    was_stopped = all(failure["error"] == "EngineStopped" for failure in failed["failures"])
    before = "" if was_stopped else "Fix what the message names."
    return Advice(section="failed-in-fetch", label=label, before=before, cost=cost, task_ids=tasks)


def _on_validate(failed: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]) -> Advice:
    counts, fetch = missing_of(failed), by_name.get("fetch")
    section = "failed-in-validate"
    if counts and counts[0] and fetch is not None:
        label, cost = f"Fetch the missing {counts[0]:,} again", _requests(counts[0], fetch["numbers"])
        before = "Look at the causes below. If the API is at fault, wait until it works again."
        return Advice(section=section, label=label, before=before, cost=cost, task_ids=tuple(fetch["task_ids"]))
    before = (
        "If a check is wrong, fix it first. If the answers are wrong, clear the run from its extract task on instead: "
        "clearing fetch alone keeps the answers that it has."
    )
    tasks = tuple(failed["task_ids"])
    return Advice(section=section, label="Validate again", before=before, cost="Nothing is requested.", task_ids=tasks)


def _requests(missing: int, numbers: Mapping[str, Any]) -> str:
    """Return what fetching again costs, by what the last fetch has cost."""
    done, requests, rate = (numbers.get(name) or 0 for name in ("done", "requests", "rate_per_s"))
    if not missing or not done:
        return "Only what has no good result yet is requested."
    each = max(1.0, requests / max(1, done - (numbers.get("resumed") or 0)))
    seconds = f", for about {duration(missing / rate)} at the last rate" if rate and missing / rate >= 1 else ""
    return f"About {counted(round(missing * each), 'request')}{seconds}. What was fetched isn't requested again."
