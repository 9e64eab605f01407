"""Runs in states that are rarer than the five of a stranger's test, each of a report of its own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from tests.page.left import COUNT, TODAY, Left, Seeded, course, extracted, fetched, judged, loaded

BUDGET = {
    "name": "billing", "queue": "rare_deferred", "rank": "nightly", "rate_per_s": 400.0, "share_per_s": 200.0,
    "reserved": 0, "clients": 1, "left": 0, "renewal": f"{TODAY + timedelta(days=1):%Y-%m-%dT%H:%M:%S+00:00}",
}  # fmt: skip
KINDS = {"ok": 11_700, "null": 260}
WHOLE = {"ok": COUNT - 5, "timeout": 5}
WAITS = {
    "waits_for": "the renewal of the quota, 12,000 requests per day (UTC)",
    "deferred_until": f"{TODAY + timedelta(days=1):%Y-%m-%dT%H:%M:%S+00:00}",
}


def rare() -> Iterable[Seeded]:
    """Yield a run for each state."""
    day = TODAY - timedelta(days=1)
    yield Seeded("rare_queued", day, "queued", {name: [Left("none")] for name in ("extract", "fetch")})
    # Before the plugin was there, the DAG had other tasks.
    yield Seeded("rare_older", day, "success")
    moments = course(66, COUNT, 182)
    stopped = fetched(COUNT, 11_960, KINDS, 66.0, course=moments, failures={"timeout": 9})
    yield _run("rare_retry", day, "running", Left("up_for_retry", 90, 20, failure=_note("ApiDown", DOWN)), stopped)
    yield _run("rare_deferred", day, "running", Left("deferred", 90), {**stopped, **WAITS, "budget": BUDGET})
    yield _run("rare_silent", day, "failed", Left("failed", 90, 20), stopped)
    causes = {"http_error": 447, "not_tried": 1_034}
    tripped = Left("failed", 90, 70, failure=_note("Tripped", TRIPPED, total=2_000, causes=causes))
    yield _run("rare_fetch", day, "failed", tripped, fetched(2_000, 966, {"ok": 519, "http_error": 447}, 9.0))
    no_day = Left("failed", 60, 58, failure=_note("ParamRefused", NO_DAY))
    yield Seeded("rare_extract", day, "failed", {"extract": [no_day], "fetch": [Left("upstream_failed")]})
    yield partial(day)
    yield hundred(day)


DOWN = (
    "The API gave no answer for 300 s (connection refused). The fetch stopped after 11,960 of 20,000 parameters. Their "
    "outcomes are in the journal; the next try requests only the rest."
)
TRIPPED = (
    "Stopped after 893 of 2,000 parameters: 447 failed, 440 of them with HTTP 401. The other 1,034 were not requested. "
    "Put the current credential into the connection 'call_api', then clear this task."
)
NO_DAY = "params.day is '2026-12-24': that day hasn't ended. Trigger a run for a day that is over."


def _note(error: str, message: str, **counts: Any) -> dict[str, Any]:
    return {"error": error, "message": message, "counts": counts or None}


def _run(dag_id: str, day: datetime, state: str, fetch: Left, progress: dict[str, Any]) -> Seeded:
    fetch.progress, after = progress, "upstream_failed" if state == "failed" else "none"
    tasks = {"extract": [Left("success", 96, 93, returned=extracted(day))], "fetch": [fetch]}
    return Seeded(dag_id, day, state, {**tasks, "validate": [Left(after)], "load": [Left(after)]})


def partial(day: datetime) -> Seeded:
    """Return a good run that has left out five parameters."""
    run = Seeded("rare_partial", day, "success", run_type="backfill")
    run.tasks = {
        "extract": [Left("success", 200, 197, returned=extracted(day))],
        "fetch": [Left("success", 196, 80, returned=fetched(COUNT, COUNT, WHOLE, 116.0))],
        "validate": [Left("success", 78, 77, returned=judged(COUNT, WHOLE, left_out=5))],
        "load": [Left("success", 76, 70, returned={**loaded("rare_partial", day, COUNT - 5), "left_out": 5})],
    }
    return run


def hundred(day: datetime) -> Seeded:
    """Return a fetch in a hundred shards, some of which wait for a worker, and one of which has failed."""
    run = _run("rare_hundred", day, "running", Left("running", 60), {})
    states = ["failed", *["success"] * 20, *["running"] * 59, *["queued"] * 20]
    done = {"failed": 120, "success": 200, "running": 90, "queued": 0}
    run.tasks["fetch"] = [
        Left(
            state, 60 if done[state] else 0, 10 if state in ("failed", "success") else None, index=index,
            failure=_note("Tripped", TRIPPED, total=COUNT, causes={"http_error": 60}) if state == "failed" else None,
            progress=fetched(200, done[state], {"ok": done[state]}, 50.0, rate_per_s=2.0, left_s=55, in_flight=1)
            if done[state] else None,
        )
        for index, state in enumerate(states)
    ]  # fmt: skip
    return run
