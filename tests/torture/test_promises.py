"""What the fetch promises of a service that is short of something: measured, printed, asserted."""

from __future__ import annotations

import threading
import time
from statistics import median
from typing import TYPE_CHECKING

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.errors import NotStarted
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import BreakerTripped
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import FetchSettings
from harness.numbers import numbers
from harness.service import DemoService
from tests.engine.harness import frozen, job, listened, run
from tests.torture.fetches import CALLS, LONG, by_second, calls_of, over_time

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED_PER_S = 200
KNEE = 40
DOWN_S = 30.0 if LONG else 10.0


@pytest.mark.slow
def test_quota_is_used_and_kept(tmp_path: Path) -> None:
    """A service that allows 200 requests a second: nothing fails, a usual second has 85 %, under 5 % are refused.

    A machine that stands still for a moment loses the second that this happens in, and is refused what it then sends
    late. So it is the median of the seconds that counts, by the service's clock. That the whole time comes to 85 % as
    well is shown in simulated time: tests/control/test_throttle.py, `test_a_quota_is_used_and_respected`.
    """
    number = 8_000
    with DemoService.start(subscribers=number, latency_ms=20, limit_per_s=ALLOWED_PER_S) as service:
        found = run(calls_of(service, tmp_path, number, FetchSettings(concurrency=100)))
        seconds = [counts["requests"] - counts["refused"] for counts in by_second(service).values()]
        statuses = service.stats()["by_status"]
    refused = statuses.get("429", 0) / sum(statuses.values())
    print(f"\nquota: {found.progress.seconds:.1f} s, accepted in each {seconds}, {refused:.2%} refused")
    assert found.progress.kinds == {Kind.OK: number}
    assert 0.85 * ALLOWED_PER_S <= median(seconds) <= ALLOWED_PER_S
    assert refused < 0.05


@pytest.mark.slow
def test_limit_settles_at_the_knee(tmp_path: Path) -> None:
    """A service whose latency doubles beyond 40 requests at once: with a ceiling of 400 the limit settles at 25 to 80.

    It has settled in the second half of the run, and stays there but for one moment in twenty.
    """
    number = 7_000
    with DemoService.start(subscribers=number, latency_ms=100, knee=KNEE) as service:
        found = run(calls_of(service, tmp_path, number, FetchSettings(concurrency=400)))
        stats = service.stats()
    limits = [moment["limit"] for moment in over_time(found)]
    settled = sorted(limits[len(limits) // 2 :])
    seen = stats["concurrency"]
    print(f"\nknee at {KNEE}: limits {limits}, at the service {seen}, {found.progress.rate_per_s:.0f}/s")
    assert found.progress.kinds == {Kind.OK: number}
    inside = [limit for limit in settled if 25 <= limit <= 80]
    assert len(inside) >= 0.95 * len(settled)
    assert 25 <= median(settled) <= 80
    assert seen["median"] <= 80


@pytest.mark.slow
def test_outage_is_waited_for(tmp_path: Path) -> None:
    """A service that is down in the middle: the run ends complete, and the outage costs under 5 % extra requests."""
    number = 4_000
    with DemoService.start(subscribers=number, latency_ms=20) as service:
        todo = calls_of(service, tmp_path, number, FetchSettings(concurrency=32))
        with EngineProcess(todo) as engine:
            breaker = threading.Thread(target=_break, args=(service, number // 4))
            breaker.start()
            found = listened(engine, todo)
            breaker.join()
        stats = service.stats()
    extra = stats["requests"] / number - 1
    print(f"\ndown for {DOWN_S:g} s: {stats['refused']} requests met it, {extra:.2%} extra, {found.progress.line()}")
    assert found.progress.kinds == {Kind.OK: number}
    assert any(moment["outage"] for moment in over_time(found))
    assert stats["refused"] > 0
    assert extra < 0.05
    assert found.progress.seconds > DOWN_S


def _break(service: DemoService, after: int) -> None:
    while service.stats()["requests"] < after:
        time.sleep(0.02)
    service.set_faults(down=True)
    time.sleep(DOWN_S)
    service.set_faults(down=False)


def test_wrong_credentials_cost_three_requests(tmp_path: Path) -> None:
    """401 for everybody: three requests, within ten seconds, and an error that names the cause and isn't retried."""
    number = 5_000
    with DemoService.start(subscribers=number, token="right") as service:
        wrong = Endpoint(base_url=service.url, auth="bearer", password="wrong")
        todo = job(frozen(tmp_path, numbers(number), ("tel",)), CALLS, wrong, FetchSettings(concurrency=100))
        with EngineProcess(todo) as engine:
            found = listened(engine, todo)
            with pytest.raises(NotStarted, match="401") as caught:
                progress_at_end(found.last, engine)
        stats = service.stats()
    print(f"\n{caught.value}")
    assert stats["by_status"] == {"401": 3}
    assert (caught.value.requests, caught.value.retry, found.records) == (3, False, [])


def test_failures_of_the_canary_are_seen(tmp_path: Path) -> None:
    """500 for everybody: what the canary leaves to the last pass counts as failed, and the run is stopped."""
    number = 5_000
    with DemoService.start(subscribers=number, error_rate=1.0) as service:
        found = run(calls_of(service, tmp_path, number, FetchSettings()))
        stats = service.stats()
    assert isinstance(found.reason, BreakerTripped)
    finding = found.reason.finding
    print(f"\n500 for everybody: {stats['requests']} requests, {finding.status}")
    assert (finding.cause, finding.status) == ("http_error", 500)
    # Fifty first attempts, the budget's hundred repetitions, and its share of both.
    assert stats["requests"] <= 200


def test_hopeless_parameter_among_the_first(tmp_path: Path) -> None:
    """A parameter of the canary that always fails doesn't hold back the others; the last pass asks for it once more."""
    number = 300
    [hopeless] = numbers(1)
    with DemoService.start(subscribers=number, fail=[hopeless]) as service:
        found = run(calls_of(service, tmp_path, number, FetchSettings()))
        asked = service.asked()
    assert found.progress.kinds == {Kind.OK: number - 1, Kind.HTTP_ERROR: 1}
    assert asked[hopeless] == FetchSettings().retry.max_attempts + 1


def test_garbled_answers_are_asked_for_once_more(tmp_path: Path) -> None:
    """What isn't JSON may have been torn, and is asked for once more; an answer without the field is an answer."""
    number = 100
    garbled, without = numbers(2)
    with DemoService.start(subscribers=number, invalid=[garbled], missing=[without]) as service:
        found = run(calls_of(service, tmp_path, number, FetchSettings()))
        asked = service.asked()
    assert found.progress.kinds == {Kind.OK: number - 2, Kind.INVALID: 2}
    assert (asked[garbled], asked[without]) == (2, 1)
