"""Runs in the states that the page shows: running well, slowed, waiting, failed in validate and in load, hostile."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from airflow_fanout.staging.store import Store
from tests.page.left import (
    COUNT,
    HOSTILE,
    MISSING,
    NOW,
    PASSED,
    TODAY,
    Left,
    Seeded,
    course,
    extracted,
    fetched,
    judged,
    loaded,
)
from tests.page.staging import stage

BUDGET = {
    "name": "billing",
    "queue": "invoice_lines",
    "rank": "nightly",
    "rate_per_s": 400.0,
    "share_per_s": 200.0,
    "reserved": 120,
    "clients": 2,
    "left": 61_200,
    "renewal": f"{TODAY + timedelta(days=1):%Y-%m-%dT%H:%M:%S+00:00}",
}
GIVES_NONE, OUTAGE = (
    "the API gives no answer (connection refused); single requests test whether it is back",
    timedelta(minutes=5),
)


def prepared(folder: Store, storage: Store) -> Iterable[Seeded]:
    """Yield the five states of a stranger's test, and a hostile one.

    :param folder: the staging area of most reports.
    :param storage: that of a team.
    """
    yesterday = TODAY - timedelta(days=1)
    yield failed_in_validate(folder, yesterday)
    yield failed_in_load(yesterday)
    yield failed_in_load(yesterday, "payment_terms")
    yield running_well(storage, yesterday)
    yield slowed(yesterday)
    yield outage(yesterday)
    yield sharded(yesterday)
    yield hostile(yesterday)
    yield hostile_and_good(yesterday - timedelta(days=1))
    yield hostile_and_waiting(yesterday)


def failed_in_validate(staging: Store, day: datetime) -> Seeded:
    """Return a run that lacks 42 results, triggered by hand, with its list in a staging area."""
    run = Seeded("daily_call_report", day, "failed", run_type="manual", by="maria")
    run.conf = {"day": f"{day:%Y-%m-%d}", "concurrency": 50, "only": ["+12025550100", "+12025550101"]}
    kinds = {"ok": COUNT - MISSING - 318, "null": 318, "http_error": 28, "timeout": 14}
    # No verdict of validate: nobody has counted before it.
    causes = {"http_error 503 HTTPError": 28, "timeout ReadTimeout": 14}
    note = {"error": "ValidationFailed", "message": "42 of 20,000 parameters have no valid result. Nothing was loaded."}
    samples = ["#500 {tel: …00}: HTTPError: HTTP 503 Service Unavailable after 5 attempts"]
    verdict = judged(
        COUNT, kinds, shown=False, accepted=["null", "ok"], checks_run=PASSED,
        causes=[{"cause": cause, "count": count, "samples": samples * 3} for cause, count in causes.items()],
    )  # fmt: skip
    whole = fetched(COUNT, COUNT, kinds, 118.0)
    directory = stage(staging, run)
    run.tasks = {
        "extract": [Left("success", 420, 417, returned=extracted(day, directory=directory))],
        "fetch": [Left("success", 416, 298, returned=whole, progress={**whole, "course": course(118, COUNT, 180)})],
        "validate": [
            Left("failed", 296, 295, failure={**note, "counts": {"total": COUNT, "causes": causes}}, progress=verdict)
        ],
        "load": [Left("upstream_failed")],
    }
    return run


def failed_in_load(day: datetime, dag_id: str = "account_balances") -> Seeded:
    """Return a run whose documents MongoDB refuses."""
    message = (
        "MongoDB refuses a document: the collection's validator wants `balance` as a decimal, and it is a double. "
        "Nothing was written. Set types={'balance': 'decimal'}, then clear load."
    )
    kinds = {"ok": 8_200}
    whole = fetched(8_200, 8_200, kinds, 51.0)
    run = Seeded(dag_id, day, "failed")
    run.tasks = {
        "extract": [Left("success", 900, 897, returned=extracted(day, 8_200))],
        "fetch": [Left("success", 896, 845, returned=whole, progress={**whole, "course": course(51, 8_200, 170)})],
        "validate": [Left("success", 844, 843, returned=judged(8_200, kinds, checks_run=PASSED))],
        "load": [Left("failed", 842, 820, failure={"error": "DocumentRefused", "message": message}, tries=1)],
    }
    return run


def _running(dag_id: str, day: datetime, seconds: int, progress: dict[str, Any]) -> Seeded:
    run = Seeded(dag_id, day, "running")
    run.tasks = {
        "extract": [Left("success", seconds + 6, seconds + 3, returned=extracted(day))],
        "fetch": [Left("running", seconds + 2, None, progress=progress)],
        "validate": [Left("none")],
        "load": [Left("none")],
    }
    return run


def running_well(staging: Store, day: datetime) -> Seeded:
    """Return a fetch that goes on well, of a team, with its list."""
    kinds = {"ok": 8_260, "null": 140, "http_error": 12}
    progress = fetched(
        COUNT, 8_412, kinds, 46.0, rate_per_s=190.4, left_s=61, in_flight=97, waiting=4,
        failures={"http_error 503": 23, "timeout": 4},
        budget=BUDGET, waits_for=None,
        limits={"limit": 100, "rate_limit_per_s": None, "paused_s": 0, "outage": False}, course=course(46, COUNT, 190),
    )  # fmt: skip
    run = _running("invoice_lines", day, 46, progress)
    run.tasks["extract"][0].returned |= {"directory": stage(staging, run)}
    return run


def slowed(day: datetime) -> Seeded:
    """Return a fetch that the API slows down."""
    kinds = {"ok": 5_020, "null": 81}
    progress = fetched(
        COUNT, 5_101, kinds, 64.0, rate_per_s=48.2, left_s=309, in_flight=20, waiting=37, waits_for=None,
        failures={"http_error 429": 312, "timeout": 9},
        limits={"limit": 20, "rate_limit_per_s": 50.0, "paused_s": 0, "outage": False, "refuses": True},
        course=course(64, COUNT, 50, limit=22),
    )  # fmt: skip
    return _running("tariff_changes", day, 64, progress)


def outage(day: datetime) -> Seeded:
    """Return a fetch whose API doesn't answer."""
    kinds, began = {"ok": 6_800, "connection_error": 3}, NOW - timedelta(seconds=34)
    progress = fetched(
        COUNT, 6_803, kinds, 82.0, rate_per_s=0.0, left_s=None, in_flight=1, waiting=99,
        failures={"connection_error": 118},
        waits_for=f"{GIVES_NONE}, since {began:%H:%M:%S} UTC, until {began + OUTAGE:%H:%M:%S} UTC at the latest",
        wait={
            "reason": "outage", "why": GIVES_NONE, "since": began.isoformat(), "until": (began + OUTAGE).isoformat(),
        },
        limits={"limit": 16, "rate_limit_per_s": None, "paused_s": 0, "outage": True},
        course=course(82, COUNT, 142, slump=(48, 83)),
    )  # fmt: skip
    return _running("meter_readings", day, 82, progress)


def sharded(day: datetime) -> Seeded:
    """Return a fetch in eight shards, one of which is at its end."""
    run = _running("subscriber_usage", day, 40, {})
    run.tasks["fetch"] = [
        Left(
            "running" if done < 2_500 else "success", 42, None if done < 2_500 else 2, index=index,
            progress=fetched(
                2_500, done, {"ok": done - index, "timeout": index}, 40.0, rate_per_s=23.5, left_s=40, in_flight=12,
                waiting=1, waits_for=None, course=course(40, 2_500, 24, limit=12),
            ),
        )
        for index, done in enumerate((2_500, 1_900, 1_460, 1_830, 900, 1_700, 2_210, 1_640))
    ]  # fmt: skip
    return run


def hostile(day: datetime) -> Seeded:
    """Return a run whose every text is hostile."""
    run = Seeded("hostile", day, "failed", run_type="manual", by=HOSTILE[:120], conf={HOSTILE[:90]: HOSTILE})
    causes = {HOSTILE: 3}
    verdict = judged(
        10, {"ok": 7, "error": 3}, causes=[{"cause": HOSTILE, "count": 3, "samples": [HOSTILE] * 3}],
        checks_run=[{"check": HOSTILE, "problem": HOSTILE}],
    )  # fmt: skip
    note = {"error": HOSTILE, "message": HOSTILE, "counts": {"total": 10, "causes": causes}}
    run.tasks = {
        "extract": [Left("success", 60, 57, returned={**extracted(day, 10, HOSTILE), "day": HOSTILE})],
        "fetch": [Left("success", 50, 48, returned=fetched(10, 10, {"ok": 7, "error": 3}, 2.0))],
        "validate": [Left("failed", 40, 39, failure=note, progress=verdict)],
        "load": [Left("upstream_failed")],
    }
    return run


def hostile_and_good(day: datetime) -> Seeded:
    """Return a good run of the same report, whose load has returned hostile texts."""
    run = Seeded("hostile", day, "success")
    returned = {**loaded("hostile", day, 10), "collection": HOSTILE, "day": HOSTILE}
    run.tasks = {"load": [Left("success", 90_000, 89_990, returned=returned)]}
    return run


def hostile_and_waiting(day: datetime) -> Seeded:
    """Return a fetch that waits for something hostile, in a budget with a hostile name."""
    budget = {**BUDGET, "name": HOSTILE, "waits_for": HOSTILE}
    progress = fetched(
        COUNT, 9, {"ok": 9}, 10.0, waits_for=HOSTILE, budget=budget, failures={HOSTILE: 3},
        wait={"reason": "rate", "why": HOSTILE, "since": None, "until": None},
    )  # fmt: skip
    return _running("hostile_waiting", day, 10, progress)
