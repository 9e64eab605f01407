from __future__ import annotations

import math
from itertools import pairwise

import pytest

from airflow_fanout.control.breaker import FIRST_FAILURES
from airflow_fanout.control.startup import LONGEST_HOLD_S
from airflow_fanout.control.traffic import MOST_MOMENTS, Traffic
from airflow_fanout.model.outcome import Cause, Kind, Outcome
from airflow_fanout.model.settings import Breaker, FetchSettings, Throttle

OK = Outcome(Kind.OK)
REFUSED = Outcome(Kind.CONNECTION_ERROR)
UNKNOWN = Outcome(Kind.CONNECTION_ERROR, cause=Cause.UNKNOWN_HOST)


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
    """After the author's seconds, counted from the last good time; what was the matter is told."""
    road = traffic(breaker=Breaker(outage_s=20.0))
    for second in range(1000):
        ended(road, OK, second / 100)
    for _ in range(FIRST_FAILURES):
        ended(road, REFUSED, 10.0)
    ended(road, REFUSED, 25.0)
    assert road.given_up(29.0) is None
    outage = road.given_up(31.0)
    assert outage is not None
    assert (outage.give_up_s, outage.last) == (20.0, REFUSED)


def test_after_an_outage_the_throttle_begins_carefully() -> None:
    """The first answer opens the road: not wider than at the start, nor than the server took before."""
    for before, after in ((0, 12), (32, 8)):
        road = Traffic(FetchSettings(concurrency=50, throttle=Throttle(initial_concurrency=12)))
        ended(road, OK, 0.0)
        for _ in range(before):
            ended(road, Outcome(Kind.HTTP_ERROR, status=429), 1.0)
        for _ in range(FIRST_FAILURES):
            ended(road, REFUSED, 10.0)
        ended(road, OK, 11.0)
        assert (road.state(11.0)["limit"], road.state(11.0)["outage"]) == (after, False)


def test_an_answer_from_before_an_outage_shows_that_there_was_none() -> None:
    """A server that answers the requests it has, and refuses all others, gets fewer of them, and goes on at once."""
    road = Traffic(FetchSettings(concurrency=50, throttle=Throttle(initial_concurrency=20)))
    ended(road, OK, 0.0)
    for _ in range(20):
        road.begin(1.0)
    for _ in range(FIRST_FAILURES):
        road.end(REFUSED, attempt=1, ms=1.0, now_s=1.001)
    assert road.state(1.1)["outage"]
    road.answered([100.0], 1.1)
    assert (road.state(1.1)["limit"], road.state(1.1)["outage"]) == (14, False)


def test_until_the_first_answer_one_request_is_under_way_at_a_time() -> None:
    """The second waits for the first, but not for ever; with the first answer, or any other news, all may go."""
    road = traffic()
    assert (road.wait_s(0.0), road.room) == (0.0, 1)
    road.begin(0.0)
    assert road.wait_s(1.0) == LONGEST_HOLD_S - 1.0
    for news in (OK, Outcome(Kind.HTTP_ERROR, status=500), Outcome(Kind.TIMEOUT)):
        other = traffic()
        ended(other, news, 0.0)
        assert (other.wait_s(0.0), other.room) == (0.0, 50)
    road.answered([500.0], 1.0)
    assert (road.wait_s(1.0), road.room) == (0.0, 50)
    slow = traffic()
    slow.wait_s(0.0)
    slow.begin(0.0)
    assert (slow.wait_s(LONGEST_HOLD_S), slow.room) == (0.0, 49)


def test_a_try_that_goes_on_where_another_has_had_answers_holds_nothing_back() -> None:
    """The API has shown that it answers; what is wrong now may pass."""
    road = traffic()
    again = Traffic(FetchSettings(concurrency=50, throttle=Throttle(adaptive=False)), is_answered=True)
    assert (road.room, again.room) == (1, 50)
    assert ended(again, UNKNOWN, 0.0) is True


def test_a_cause_that_no_waiting_cures_is_no_attempt_and_no_outage() -> None:
    """Before the first answer; the next request waits a moment. After it, it is a failure as any other."""
    road = traffic()
    assert [ended(road, UNKNOWN, now) for now in (0.0, 1.0)] == [False, False]
    assert (road.wait_s(1.0), road.startup.failed) == (1.0, 2)
    assert ended(road, OK, 2.0) is True
    assert all(ended(road, UNKNOWN, 3.0) for _ in range(FIRST_FAILURES))
    assert road.state(3.0)["outage"]


@pytest.mark.parametrize("asked_s", [0.0, 1.0])
@pytest.mark.parametrize(("many", "limit"), [(16, 200), (40, 200), (200, 140)])
def test_refusals_of_one_moment_are_one_event(many: int, limit: int, asked_s: float) -> None:
    """However many are refused by 429 at once, the limit is decreased once, and so is the rate."""
    road = Traffic(FetchSettings(concurrency=200, throttle=Throttle(initial_concurrency=200)), is_answered=True)
    for _ in range(200):
        ended(road, OK, 0.0)
    for _ in range(many):
        road.begin(0.5)
    for _ in range(many):
        road.end(Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=asked_s), attempt=1, ms=20.0, now_s=0.52)
    state = road.state(0.52)
    assert (state["limit"], state["paused_s"]) == (limit, asked_s)
    assert state["rate_limit_per_s"] == pytest.approx((200 + many - 1) * 0.85, abs=0.1)


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
