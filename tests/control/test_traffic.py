from __future__ import annotations

import math
from itertools import pairwise

from airflow_fanout.breaker import FIRST_FAILURES, Tripped
from airflow_fanout.engine.traffic import MOST_MOMENTS, Traffic
from airflow_fanout.outcome import Kind, Outcome
from airflow_fanout.settings import Breaker, FetchSettings, Throttle

OK = Outcome(Kind.OK)
REFUSED = Outcome(Kind.CONNECTION_ERROR)


def traffic(**more: object) -> Traffic:
    """Return the traffic of a fetch with a concurrency of 50."""
    return Traffic(FetchSettings(concurrency=50, throttle=Throttle(adaptive=False), **more))  # type: ignore[arg-type]


def ended(road: Traffic, outcome: Outcome, now: float, *, attempt: int = 1, ms: float = 1.0) -> bool:
    """Send a request and let it end; return whether its attempt counts."""
    road.begin(now)
    return road.end(outcome, attempt=attempt, ms=ms, now_s=now)


def broken() -> Traffic:
    """Return the traffic to a server that has just gone, at second 0."""
    road = traffic()
    assert all(ended(road, REFUSED, 0.0) for _ in range(FIRST_FAILURES))
    return road


def test_the_canary_holds_back_the_others() -> None:
    """What is begun, what has ended and what may begin fit together."""
    road = traffic(breaker=Breaker(canary=2))
    assert [road.room_for_new(begun) > 0 for begun in range(4)] == [True, True, False, False]
    road.settle(OK)
    assert not road.room_for_new(2)
    road.settle(OK)
    assert road.room_for_new(2)


def test_in_an_outage_one_at_a_time_goes_out() -> None:
    """After the pause a single probe is sent, and nothing beside it until it has ended."""
    road = broken()
    assert road.state(0.0)["outage"]
    assert 0 < road.wait_s(0.0) <= 0.5
    assert road.wait_s(0.5) == 0.0
    road.begin(0.5)
    assert road.wait_s(0.6) == math.inf
    road.end(REFUSED, attempt=2, ms=100.0, now_s=0.6)
    assert road.wait_s(0.6) == 1.0


def test_in_an_outage_no_failure_counts() -> None:
    """A probe costs its parameter no attempt, unless it was answered."""
    road = broken()
    assert ended(road, REFUSED, 1.0) is False
    assert ended(road, Outcome(Kind.HTTP_ERROR, status=503), 3.0) is False
    assert ended(road, Outcome(Kind.HTTP_ERROR, status=500), 9.0) is True
    assert not road.state(9.0)["outage"]


def test_an_outage_that_is_too_long_is_given_up() -> None:
    """What is told are the requests since the last answer, not all that were ever sent."""
    road = traffic(breaker=Breaker(outage_s=20.0))
    for second in range(1000):
        ended(road, OK, second / 100)
    for _ in range(FIRST_FAILURES):
        ended(road, REFUSED, 10.0)
    ended(road, REFUSED, 25.0)
    assert road.given_up(29.0) is None
    assert road.given_up(31.0) == Tripped(FIRST_FAILURES + 1, FIRST_FAILURES + 1, "no answer for 20 s", transient=True)


def test_after_an_outage_the_throttle_begins_anew() -> None:
    """The first answer opens the road, carefully."""
    road = Traffic(FetchSettings(concurrency=50, throttle=Throttle(start=12)))
    for _ in range(100):
        ended(road, Outcome(Kind.HTTP_ERROR, status=429), 0.0)
    assert road.state(0.0)["limit"] < 12
    for _ in range(FIRST_FAILURES):
        ended(road, REFUSED, 10.0)
    ended(road, OK, 11.0)
    assert (road.state(11.0)["limit"], road.state(11.0)["outage"]) == (12, False)


def test_the_limit_over_time_is_short_and_even() -> None:
    """However long a fetch takes, its moments are at most so many, from its beginning on, evenly spread."""
    for seconds in (0, 1, 5, MOST_MOMENTS, MOST_MOMENTS + 1, 1000, 5000):
        road = traffic()
        for second in range(seconds):
            road.tick(float(second), float(second))
        times = [moment["s"] for moment in road.moments()]
        assert len(times) <= MOST_MOMENTS
        assert times[:1] == [0.0][:seconds]
        assert len({later - earlier for earlier, later in pairwise(times)}) <= 1
        assert not times or times[-1] >= seconds - max(1, 2 * seconds / MOST_MOMENTS) - 1
