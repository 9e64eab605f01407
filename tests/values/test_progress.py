from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.model.budget_status import BudgetStatus
from airflow_fanout.model.latency import Histogram
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.waits import Reason, Wait, of_all


def example() -> Progress:
    """Return a fetch in its middle: 60 of 200 by an earlier try, 90 by this one in 3 seconds."""
    latency = Histogram()
    for ms in (10.0, 20.0, 30.0, 1000.0):
        latency.add(ms)
    return Progress(
        total=200,
        kinds=Counter({Kind.OK: 140, Kind.TIMEOUT: 7, Kind.NULL: 3}),
        resumed=60,
        requests=95,
        in_flight=8,
        waiting=2,
        seconds=3.0,
        recent_per_s=20.0,
        latency=latency,
    )


OUTAGE = Wait(Reason.OUTAGE, "the API gives no answer (connection refused)", since=1795413785.0, until=1795414085.0)


def test_rates_count_what_this_try_has_done() -> None:
    """What an earlier try has fetched makes this one no faster."""
    progress = example()
    assert progress.done == 150
    assert progress.rate_per_s == 30.0


def test_what_is_left_comes_from_the_last_seconds() -> None:
    """A fetch that has become slower takes longer than its average says; while it waits, nobody knows how long."""
    assert example().left_s == 50 / 20
    assert replace(example(), wait=OUTAGE).left_s is None


@pytest.mark.parametrize(
    "progress",
    [Progress(total=10), Progress(total=10, seconds=5.0), Progress(total=9, kinds=Counter(ok=9), resumed=9, seconds=1)],
)
def test_nothing_done_has_no_end_in_sight(progress: Progress) -> None:
    """Before the first outcome of a try there is no rate, and no time that is left."""
    assert progress.rate_per_s == 0.0
    assert progress.left_s is None


def test_progress_travels_as_json() -> None:
    """What the parent reads from the pipe tells the same as what the engine counted."""
    there = codec.decoder(Progress)(codec.encode(example()))
    assert there.summary() == example().summary()
    assert there.line() == example().line()
    assert there == example()


def test_a_budget_is_in_the_state_of_the_moment() -> None:
    """As plain JSON, the renewal as a moment; not in the summary, which is an XCom for ever."""
    budget = BudgetStatus(
        name="calls",
        queue="daily",
        rank="nightly",
        rate_per_s=100.0,
        share_per_s=33.3333,
        reserved=12,
        clients=3,
        left=0,
        renewal=1795413785.0,
        waits_for="the renewal of the quota, 100 requests in any 60 s",
    )
    now = replace(example(), budget=budget).now()
    assert codec.plain(now) == now
    assert now["budget"]["share_per_s"] == 33.333
    assert now["budget"]["renewal"] == "2026-11-23T06:03:05+00:00"
    assert now["budget"]["waits_for"].startswith("the renewal of the quota")
    assert "budget" not in replace(example(), budget=budget).summary()
    assert "budget" not in example().now()


def test_a_summary_is_a_few_numbers() -> None:
    """The summary has counts by kind in a fixed order, times and latencies, and can be an XCom."""
    summary = example().summary()
    assert codec.plain(summary) == summary
    latencies = {name: summary.pop(name) for name in ("p50_ms", "p95_ms", "p99_ms")}
    assert latencies == pytest.approx({"p50_ms": 20.0, "p95_ms": 1000.0, "p99_ms": 1000.0}, rel=0.025)
    assert summary == {
        "parameters": 200,
        "done": 150,
        "ok": 140,
        "kinds": {"ok": 140, "null": 3, "timeout": 7},
        "resumed": 60,
        "requests": 95,
        "seconds": 3.0,
        "rate_per_s": 30.0,
    }
    assert list(summary["kinds"]) == ["ok", "null", "timeout"]


def test_a_line_for_the_log() -> None:
    """One line has how much is done, how fast, how long still, and what went wrong."""
    assert example().line() == (
        "150 of 200 (75.0 %), 20/s, 2 s left, 8 in flight, 2 waiting for another request; 3 null, 7 timeout"
    )


@pytest.mark.parametrize(
    ("done", "total", "shown"), [(999_999, 1_000_000, "99.9 %"), (7, 7, "100.0 %"), (0, 0, "100 %")]
)
def test_a_hundred_percent_is_all(done: int, total: int, shown: str) -> None:
    """One that is missing of a million is seen."""
    assert f"({shown})" in Progress(total=total, kinds=Counter(ok=done)).line()


def test_progress_adds_up_over_processes() -> None:
    """Counts and limits add up, the longest time counts, and one process without a rate limit has none for all."""
    limits = {"limit": 4, "rate_limit_per_s": 10.0, "paused_s": 0.0, "outage": False}
    one = Progress(total=10, kinds=Counter(ok=3), requests=4, in_flight=1, waiting=1, seconds=2.0, limits=limits)
    other = Progress(
        total=9, kinds=Counter(ok=2, null=1), resumed=2, requests=3, seconds=3.0, limits={**limits, "outage": True}
    )
    for progress, ms in ((one, 1.0), (other, 100.0)):
        progress.latency.add(ms)
    both = Progress.sum([one, other])
    assert (both.total, both.done, both.resumed, both.requests) == (19, 6, 2, 7)
    assert (both.in_flight, both.waiting, both.seconds, both.latency.total) == (1, 1, 3.0, 2)
    assert both.limits == {"limit": 8, "rate_limit_per_s": 20.0, "paused_s": 0.0, "outage": True}
    free = Progress(total=1, limits={**limits, "rate_limit_per_s": None})
    assert Progress.sum([one, free]).limits["rate_limit_per_s"] is None
    assert Progress.sum([]).summary() == Progress(total=0).summary()


def test_limits_over_time_add_up() -> None:
    """At each moment of the longest history, the others count with what they had last."""

    def moment(s: float, limit: int) -> dict[str, Any]:
        return {"s": s, "limit": limit, "rate_limit_per_s": None, "paused_s": 0.0, "outage": False}

    one = Progress(total=1, limits={"over_time": [moment(1, 5), moment(2, 6), moment(3, 7)]})
    other = Progress(total=1, limits={"over_time": [moment(1.5, 1), moment(2.5, 2)]})
    history = Progress.sum([one, other, Progress(total=1, limits={"over_time": []})]).limits["over_time"]
    assert [(each["s"], each["limit"]) for each in history] == [(1, 6), (2, 7), (3, 9)]


def test_a_process_that_has_ended_has_no_limits_from_then_on() -> None:
    """It counts until the moment at which it is late with its limits: others may have got its share."""

    def history(*moments: float) -> Progress:
        limits = {"limit": 5, "rate_limit_per_s": None, "paused_s": 0.0, "outage": False}
        return Progress(total=1, limits={"over_time": [{"s": s, **limits} for s in moments]})

    both = Progress.sum([history(1.0, 2.0), history(1.6, 2.6, 3.6, 4.6), history(1.0)])
    assert [moment["limit"] for moment in both.limits["over_time"]] == [15, 10, 5, 5]


def test_a_process_at_its_end_has_no_limits_any_more() -> None:
    """While one process is under way and another has ended, the limits are those of the one under way."""
    limits = {"limit": 4, "rate_limit_per_s": None, "paused_s": 0.0, "outage": False}
    ended, running = Progress(total=1, limits={"over_time": [{"s": 1, **limits}]}), Progress(total=1, limits=limits)
    assert Progress.sum([ended, running]).limits == Progress.sum([running, ended]).limits == limits


def test_a_wait_is_said_in_words() -> None:
    """In place of a rate: what is waited for, since when, and until when."""
    waiting = replace(example(), wait=OUTAGE)
    assert waiting.line() == (
        "150 of 200 (75.0 %), 8 in flight, 2 waiting for another request; 3 null, 7 timeout; waits: the API gives no "
        "answer (connection refused), since 06:03:05 UTC, until 06:08:05 UTC at the latest"
    )
    assert waiting.now()["waits_for"] == str(OUTAGE)
    assert waiting.now()["wait"] == {
        "reason": "outage",
        "why": "the API gives no answer (connection refused)",
        "since": "2026-11-23T06:03:05+00:00",
        "until": "2026-11-23T06:08:05+00:00",
    }
    assert "wait" not in example().now()
    there = codec.decoder(Progress)(codec.encode(waiting))
    assert there.wait == OUTAGE


def test_engines_that_share_a_fetch_wait_together() -> None:
    """An outage or a pause of one of them is told; anything else when all of them wait that have more to do."""
    retries = Wait(Reason.RETRIES, "…", since=1.0, until=9.0)
    pause = Wait(Reason.PAUSE, "…", since=2.0, until=8.0)
    assert [of_all(waits) for waits in ([], [None], [retries, None], [retries, retries])] == [None, None, None, retries]
    assert [of_all(waits) for waits in ([pause, None], [pause, retries], [pause, OUTAGE])] == [pause, pause, OUTAGE]
    idle = Progress(total=1, kinds=Counter(ok=1))
    assert Progress.sum([idle, Progress(total=1, wait=retries)]).wait == retries
