"""Runs of nights long ago, good ones and some bad ones."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

from tests.page.left import COUNT, NOW, TODAY, Left, Seeded, extracted, fetched, judged, loaded


def history() -> Iterable[Seeded]:
    """Yield a year of nights of one report in eight shards, and some nights of the others."""
    dice = random.Random(11)
    for back in range(365, 1, -1):
        run = good("subscriber_usage", TODAY - timedelta(days=back), dice, shards=8)
        # Three nights were made up for later, and one was repeated by hand.
        run.run_type = "backfill" if back in (31, 32, 33) else "manual" if back == 12 else run.run_type
        yield bad(run, dice) if back % 61 == 7 else run
    for dag_id, total in (("daily_call_report", COUNT), ("account_balances", 8_200), ("invoice_lines", COUNT)):
        for back in range(40, 1, -1):
            run = good(dag_id, TODAY - timedelta(days=back), dice, total=total)
            yield bad(run, dice) if back == 17 else run


def good(dag_id: str, day: datetime, dice: random.Random, *, shards: int = 0, total: int = COUNT) -> Seeded:
    """Return a run that has gone well, on a night long ago."""
    total += dice.randrange(-150, 150)
    null = int(total * dice.uniform(0.01, 0.03))
    kinds = {"ok": total - null, "null": null}
    seconds = total / dice.uniform(165, 195)
    at = (NOW - day - timedelta(days=1, hours=1)).total_seconds()
    run = Seeded(dag_id, day, "success")
    of_one = {"ok": kinds["ok"] // max(1, shards), "null": kinds["null"] // max(1, shards)}
    part = sum(of_one.values())
    run.tasks = {
        "extract": [Left("success", at, at - 3, returned=extracted(day, total))],
        "fetch": [
            Left("success", at - 4, at - 4 - seconds, returned=fetched(part, part, of_one, seconds), index=index)
            for index in (range(shards) if shards else (-1,))
        ],
        "validate": [Left("success", at - 5 - seconds, at - 6 - seconds, returned=judged(total, kinds))],
        "load": [Left("success", at - 7 - seconds, at - 10 - seconds, returned=loaded(dag_id, day, total - null))],
    }
    return run


def bad(run: Seeded, dice: random.Random) -> Seeded:
    """Return a run as one in which the API has refused some."""
    missing = dice.randrange(60, 3_000)
    run.state = "failed"
    run.tasks["load"] = [Left("upstream_failed")]
    causes = {"http_error 503": missing * 2 // 3, "timeout ReadTimeout": missing - missing * 2 // 3}
    note = {"error": "ValidationFailed", "message": "…", "counts": {"total": COUNT, "causes": causes}}
    run.tasks["validate"] = [Left("failed", *_times(run.tasks["validate"][0]), failure=note)]
    return run


def _times(left: Left) -> tuple[float, float | None]:
    return left.begun, left.ended
