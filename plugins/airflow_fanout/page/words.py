"""What a run is doing, in a sentence or two, for whoever has just opened its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from airflow_fanout.alerts.recovered import duration

# How the page colours it.
GOOD, BUSY, WAITING, BAD = "good", "busy", "waiting", "bad"
# What a reader who was woken up wants to hear.
NOTHING_TO_DO = "There is nothing to do."
BY_ITSELF = "It continues by itself; there is nothing to do."
SILENT = (
    "The task ended without a word: somebody marked it as failed, it was killed, or its worker was lost. Its log may "
    "say more."
)


class Sentence(msgspec.Struct, frozen=True):
    """A headline, what there is to add, and how good it is."""

    tone: str
    headline: str
    detail: str = ""


def sentence_of(state: str, steps: Sequence[Mapping[str, Any]], now: datetime) -> Sentence:
    """Return what a report's run is doing, or how it has ended.

    :param state: the run's.
    :param steps: as `steps_of` has them.
    :param now: by which times that are to come are counted.
    """
    by_name = {step["name"]: step for step in steps}
    if failed := next((step for step in steps if step["state"] == "failed"), None):
        return _failed(failed, by_name)
    current = next((step for step in steps if step["state"] not in ("success", "skipped", "removed", "none")), None)
    if current is not None:
        return _current(current, now)
    if state in ("success", "failed") or (steps and all(step["state"] == "success" for step in steps)):
        return _ended(state, steps, by_name)
    following = next((step["name"] for step in steps if step["state"] == "none"), "")
    if all(step["state"] == "none" for step in steps):
        return Sentence(WAITING, "The run has not begun its first step.", _before_begin(state))
    return Sentence(WAITING, f"{following.capitalize()} has not begun yet.", "Airflow starts it in a moment.")


def _ended(state: str, steps: Sequence[Mapping[str, Any]], by_name: Mapping[str, Mapping[str, Any]]) -> Sentence:
    """Return how a run has ended of which no step has failed."""
    if steps and all(step["state"] == "success" for step in steps):
        return _over(by_name)
    if state == "failed":
        detail = "Look at the run's other tasks in Airflow: none of the report's own has failed."
        return Sentence(BAD, "The run has failed outside of this report.", detail)
    if all(step["state"] == "none" for step in steps):
        detail = "It may be older than the report's tasks in this DAG."
        return Sentence(GOOD, "The run has succeeded, without any task of this report.", detail)
    return _over(by_name)


def _before_begin(state: str) -> str:
    if state == "queued":
        return "It is queued: other runs of this DAG come first (max_active_runs), or the DAG is paused."
    return "It waits for Airflow's scheduler, or for tasks before the report."


def _failed(step: Mapping[str, Any], by_name: Mapping[str, Mapping[str, Any]]) -> Sentence:
    message = (step["failures"][0]["message"] or "").strip()
    counts = missing_of(step)
    if step["name"] == "validate":
        return _not_valid(step, counts, message)
    if step["name"] == "load":
        documents = by_name.get("validate", {}).get("numbers", {}).get("ok")
        valid = f"The {counted(documents, 'result')} {_are(documents)} valid" if documents else "The results are valid"
        return Sentence(BAD, f"{valid}, but load could not write them to MongoDB.", message or SILENT)
    if step["name"] == "extract":
        return Sentence(BAD, "There is no list, so nothing was requested.", message or SILENT)
    shards = step["shards"]
    failed = sum(shard["state"] == "failed" for shard in shards)
    which = f" in {failed} of {len(shards)} shards" if shards else ""
    missing = (
        f": {counts[0]:,} of {counts[1]:,} parameters {_have(counts[0])} no result yet" if counts and counts[0] else ""
    )
    others = " The other shards go on." if any(shard["state"] == "running" for shard in shards) else ""
    return Sentence(BAD, f"Fetch has failed{which}{missing}.{others}", message or SILENT)


def _not_valid(step: Mapping[str, Any], counts: tuple[int, int] | None, message: str) -> Sentence:
    unchanged = "MongoDB is unchanged."
    failed = [check for check in step["numbers"].get("checks_run") or () if check.get("problem")]
    if counts and counts[0]:
        also = f" {len(failed)} of the checks failed, too." if failed else ""
        headline = f"{counts[0]:,} of {counts[1]:,} parameters {_have(counts[0])} no valid result."
        return Sentence(BAD, headline, f"Nothing was loaded: {unchanged}{also}")
    if failed:
        which = "a check" if len(failed) == 1 else f"{len(failed)} checks"
        return Sentence(BAD, f"All results are there, but {which} failed.", f"Nothing was loaded: {unchanged}")
    return Sentence(BAD, "Validate has failed.", message or SILENT)


def missing_of(step: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return how many parameters a failed step lacks, and of how many; `None` if it doesn't say so."""
    known = [failure["counts"] for failure in step["failures"] if failure["counts"]]
    if not known:
        return None
    return sum(sum(counts["causes"].values()) for counts in known), max(counts["total"] for counts in known)


def _current(step: Mapping[str, Any], now: datetime) -> Sentence:
    name = step["name"].capitalize()
    match step["state"]:
        case "queued" | "scheduled":
            return Sentence(WAITING, f"{name} waits for a worker.", "It begins as soon as a slot is free.")
        case "upstream_failed":
            detail = "Look at the run's other tasks in Airflow: what has failed isn't one of the report's steps."
            return Sentence(BAD, f"{name} was not run, because a task before it has failed.", detail)
        case "up_for_retry":
            return _retried(step, name)
        case "deferred":
            return _deferred(step["numbers"], name, now)
    return _running(step["name"], step["numbers"], now)


def _retried(step: Mapping[str, Any], name: str) -> Sentence:
    messages = [failure["message"].strip() for failure in step["failures"] if failure["message"]]
    also = "What was fetched is kept. Airflow tries again by itself."
    headline = f"{name} is tried again soon: try {step['tries']} of {step['max_tries']} has failed."
    return Sentence(WAITING, headline, "\n".join([*messages[:1], also]))


def _deferred(numbers: Mapping[str, Any], name: str, now: datetime) -> Sentence:
    waits, until = numbers.get("waits_for") or "it waits", numbers.get("deferred_until")
    continues = f" It continues by itself {_until(until, now)}; there is nothing to do." if until else f" {BY_ITSELF}"
    return Sentence(WAITING, f"{name} is deferred: {waits}.", f"It holds no worker meanwhile.{continues}")


def _running(name: str, numbers: Mapping[str, Any], now: datetime) -> Sentence:
    if name == "extract":
        items = numbers.get("items")
        return Sentence(
            BUSY, "Extract reads the list." if not items else f"Extract has read {items:,} items of the list."
        )
    if name == "fetch":
        return _fetching(numbers, now)
    done, total, step = numbers.get("done"), numbers.get("total"), numbers.get("step")
    counted = f": {done:,} of {total:,}" if total and done is not None else ""
    return Sentence(BUSY, f"{step or name.capitalize() + ' has begun'}{counted}.")


def _fetching(numbers: Mapping[str, Any], now: datetime) -> Sentence:
    if "parameters" not in numbers:
        return Sentence(BUSY, "Fetch starts its engine.")
    counted = f"{numbers.get('done', 0):,} of {numbers['parameters']:,} parameters are done"
    if numbers.get("waits_for"):
        return _waiting(numbers, counted, now)
    left, limits = numbers.get("left_s"), numbers.get("limits") or {}
    details = [f"About {duration(left)} left at this rate."] if left is not None else []
    if budget := numbers.get("budget"):
        details.append(_within(budget))
    details.append(NOTHING_TO_DO)
    if limits.get("refuses"):
        rate = limits.get("rate_limit_per_s")
        most = f"at most {rate:,.0f} per second are sent" if rate else "fewer are sent"
        details.insert(0, f"It refused some requests, so {most}. They are repeated: nothing is lost.")
        return Sentence(BUSY, f"The API slows fetch down: {counted}.", " ".join(details))
    return Sentence(BUSY, f"Fetch is under way: {counted}.", " ".join(details))


def _waiting(numbers: Mapping[str, Any], counted: str, now: datetime) -> Sentence:
    wait = numbers.get("wait")
    if not wait:
        return Sentence(WAITING, f"Fetch waits: {numbers['waits_for']}.", f"{counted}. {BY_ITSELF}")
    # What follows a semicolon is what goes on meanwhile.
    why, _, meanwhile = wait["why"].partition("; ")
    details = [f"Since {_clock(wait['since'], now)}."] if wait.get("since") else []
    if meanwhile:
        details.append(f"{meanwhile[0].upper()}{meanwhile[1:]}.")
    details += [f"{counted}.", BY_ITSELF]
    if (until := wait.get("until")) and wait["reason"] == "outage":
        details.append(f"If there is no answer until {_clock(until, now)}, this try fails; what was fetched is kept.")
    elif until:
        details[-1] = f"It continues by itself {_until(until, now)} at the latest; there is nothing to do."
    return Sentence(WAITING, f"Fetch waits: {why}.", " ".join(details))


def _clock(moment: str, now: datetime) -> str:
    """Return a moment, given in ISO 8601, as people write it, in UTC: without the day if that is today's."""
    at = datetime.fromisoformat(moment).astimezone(UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.astimezone(UTC).date() else f"{at:%Y-%m-%d %H:%M} UTC"


def _until(moment: str, now: datetime) -> str:
    """Return when something is to come: in how long, and at what time."""
    seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    return f"in {duration(seconds)} ({_clock(moment, now)})" if seconds >= 1 else "in a moment"


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
        detail = "The report's next run requests these first; there is nothing to do."
        loaded = f"{counted(documents, 'document')} {_are(documents)} loaded"
        lacking = f"{counted(left_out, 'parameter')} {_are(left_out)} left out"
        return Sentence(WAITING, f"{loaded}, and {lacking}.", detail)
    return Sentence(GOOD, f"{counted(documents, 'document')} {_are(documents)} in {collection}.")


def counted(number: int, unit: str) -> str:
    """Return a number with its unit, such as `1 document` and `20,000 documents`."""
    return f"{number:,} {unit}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"
