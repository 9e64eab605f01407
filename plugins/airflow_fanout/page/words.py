"""What a run is doing, in a sentence or two, for whoever has just opened its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

# How the page colours it.
GOOD, BUSY, WAITING, BAD = "good", "busy", "waiting", "bad"
SILENT = (
    "The task ended without a word: somebody marked it as failed, it was killed, or its worker was lost. Its log may "
    "say more."
)


class Sentence(msgspec.Struct, frozen=True):
    """A headline, what there is to add, and how good it is."""

    tone: str
    headline: str
    detail: str = ""


def sentence_of(state: str, steps: Sequence[Mapping[str, Any]]) -> Sentence:
    """Return what a report's run is doing, or how it has ended.

    :param state: the run's.
    :param steps: as `steps_of` has them.
    """
    by_name = {step["name"]: step for step in steps}
    if failed := next((step for step in steps if step["state"] == "failed"), None):
        return _failed(failed, by_name)
    current = next((step for step in steps if step["state"] not in ("success", "skipped", "removed", "none")), None)
    if current is not None:
        return _current(current)
    if state == "success" or (steps and all(step["state"] == "success" for step in steps)):
        return _over(by_name)
    if state == "failed":
        return Sentence(BAD, "The run has failed outside of this report.", "Its own tasks have not failed.")
    if all(step["state"] == "none" for step in steps):
        return Sentence(WAITING, "The run has not begun its first step.")
    following = next((step["name"] for step in steps if step["state"] == "none"), "")
    return Sentence(WAITING, f"{following.capitalize()} has not begun yet.")


def _failed(step: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]) -> Sentence:
    first = step["failures"][0]
    message = (first["message"] or "").strip()
    counts = missing_of(step)
    if step["name"] == "validate":
        return _not_valid(step, counts, message)
    if step["name"] == "load":
        documents = by_name.get("validate", {}).get("numbers", {}).get("ok")
        valid = f"The {documents:,} results are valid" if documents else "The results are valid"
        return Sentence(BAD, f"{valid}, but load could not write them to MongoDB.", message or SILENT)
    if step["name"] == "extract":
        return Sentence(BAD, "There is no list, so nothing was requested.", message or SILENT)
    shards = f" in {len(step['failures'])} of {len(step['shards'])} shards" if step["shards"] else ""
    missing = f": {counts[0]:,} of {counts[1]:,} parameters have no result yet" if counts and counts[0] else ""
    return Sentence(BAD, f"Fetch has failed{shards}{missing}.", message or SILENT)


def _not_valid(step: Mapping[str, Any], counts: tuple[int, int] | None, message: str) -> Sentence:
    unchanged = "MongoDB is unchanged."
    failed = [check for check in step["numbers"].get("checks_run") or () if check.get("problem")]
    if counts and counts[0]:
        also = f" {len(failed)} of the checks failed, too." if failed else ""
        headline = f"{counts[0]:,} of {counts[1]:,} parameters have no valid result."
        return Sentence(BAD, headline, f"Nothing was loaded: {unchanged}{also}")
    if failed:
        named = "A check" if len(failed) == 1 else f"{len(failed)} checks"
        return Sentence(BAD, f"All results are there, but {named.lower()} failed.", f"Nothing was loaded: {unchanged}")
    return Sentence(BAD, "Validate has failed.", message or SILENT)


def missing_of(step: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return how many parameters a failed step lacks, and of how many; `None` if it doesn't say so."""
    known = [failure["counts"] for failure in step["failures"] if failure["counts"]]
    if not known:
        return None
    return sum(sum(counts["causes"].values()) for counts in known), max(counts["total"] for counts in known)


def _current(step: Mapping[str, Any]) -> Sentence:
    name, numbers = step["name"], step["numbers"]
    if step["state"] in ("queued", "scheduled"):
        return Sentence(WAITING, f"{name.capitalize()} waits for a worker.")
    if step["state"] == "upstream_failed":
        return Sentence(BAD, f"{name.capitalize()} was not run, because a task before it has failed.")
    if step["state"] == "up_for_retry":
        tries = f"try {step['tries']} of {step['max_tries']} has failed"
        return Sentence(WAITING, f"{name.capitalize()} is tried again soon: {tries}.", "What was fetched is kept.")
    if step["state"] == "deferred":
        until = numbers.get("deferred_until")
        waits = numbers.get("waits_for") or "it waits"
        detail = f"It holds no worker until {until}." if until else "It holds no worker until then."
        return Sentence(WAITING, f"{name.capitalize()} is deferred: {waits}.", detail)
    return _running(name, numbers)


def _running(name: str, numbers: Mapping[str, Any]) -> Sentence:
    if name == "extract":
        items = numbers.get("items")
        return Sentence(
            BUSY, "Extract reads the list." if not items else f"Extract has read {items:,} items of the list."
        )
    if name == "fetch":
        return _fetching(numbers)
    done, total, step = numbers.get("done"), numbers.get("total"), numbers.get("step")
    counted = f": {done:,} of {total:,}" if total and done is not None else ""
    return Sentence(BUSY, f"{step or name.capitalize() + ' has begun'}{counted}.")


def _fetching(numbers: Mapping[str, Any]) -> Sentence:
    if "parameters" not in numbers:
        return Sentence(BUSY, "Fetch starts its engine.")
    counted = f"{numbers.get('done', 0):,} of {numbers['parameters']:,} parameters are done"
    if waits := numbers.get("waits_for"):
        return Sentence(WAITING, f"Fetch waits: {waits}.", f"{counted}. It continues by itself.")
    left, limits = numbers.get("left_s"), numbers.get("limits") or {}
    details = [f"About {left:,.0f} s are left, if it goes on like this."] if left is not None else []
    if budget := numbers.get("budget"):
        details.append(_within(budget))
    if limits.get("refuses"):
        most = f"{limits['rate_limit_per_s']:,.0f} per second"
        details.insert(0, f"It refused some requests, so at most {most} are sent.")
        return Sentence(BUSY, f"The API slows fetch down; {counted}.", " ".join(details))
    return Sentence(BUSY, f"Fetch is under way: {counted}.", " ".join(details))


def _within(budget: Mapping[str, Any]) -> str:
    """Return what a budget allows at this moment."""
    name, rate = budget.get("name"), f"{budget.get('rate_per_s', 0):,g} requests per second"
    if budget.get("is_offline"):
        return f"MongoDB, which keeps the budget {name}, can't be reached."
    allowed = f"The budget {name} allows {rate}, {budget.get('share_per_s', 0):,g} of them to this fetch"
    if budget.get("left") is None:
        return f"{allowed}."
    # The moment as `plain` gives it, in UTC.
    renewal = f" until {budget['renewal'][:16].replace('T', ' ')} UTC" if budget.get("renewal") else ""
    return f"{allowed}. Of the quota, {budget['left']:,} requests are left{renewal}."


def _over(by_name: Mapping[str, Mapping[str, Any]]) -> Sentence:
    numbers = by_name.get("load", {}).get("numbers", {})
    documents, collection = numbers.get("documents"), numbers.get("collection")
    if documents is None:
        return Sentence(GOOD, "The run has succeeded.")
    if left_out := numbers.get("left_out"):
        detail = "The report's next run requests these first."
        return Sentence(
            WAITING, f"{documents:,} documents are loaded, and {left_out:,} parameters are left out.", detail
        )
    return Sentence(GOOD, f"{documents:,} documents are in {collection}.")
