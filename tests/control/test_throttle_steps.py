"""The throttle one step at a time, in numbers: what its rules say of a window, of a refusal, of a moment."""

from __future__ import annotations

import math

import pytest

from airflow_fanout.control.budget import LocalBudget
from airflow_fanout.control.concurrency import Concurrency
from airflow_fanout.control.rate import Rate
from airflow_fanout.control.throttle import Limiter
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Throttle
from tests.control.server import BUSY, OK

TOO_MANY = Outcome(Kind.HTTP_ERROR, status=429)


def concurrency(start: int = 32, ceiling: int = 1000, **options: object) -> Concurrency:
    """Return a limit that nothing has changed yet."""
    return Concurrency(Throttle(initial_concurrency=start, **options), ceiling)  # type: ignore[arg-type] # a test's own words


def slowed() -> Concurrency:
    """Return a limit of 64 whose latency without load is 100 ms, after one window of 200 ms."""
    limit = concurrency()
    limit.add([100.0] * 32, 32)
    limit.add([200.0] * 64, 64)
    assert limit.limit == 64
    return limit


def refusing() -> Rate:
    """Return the rate of a server that has refused at 10 s, with 50 accepted and 10 in flight in the last second."""
    rate = Rate()
    rate.accepted(8.9, 8.8, 1000)
    rate.accepted(9.0, 8.9, 20)
    rate.accepted(9.5, 9.4, 30)
    rate.refused(10.0, 9.9, 10)
    return rate


def test_the_limit_is_looked_at_once_a_windows_requests_have_ended() -> None:
    """At first after 32 requests, later after as many as the limit; then it doubles, up to the ceiling."""
    limit = concurrency(ceiling=100)
    limit.add([100.0] * 31, 32)
    assert limit.limit == 32
    limit.add([100.0], 32)
    assert limit.limit == 64
    limit.add([100.0] * 63, 64)
    assert limit.limit == 64
    limit.add([100.0], 64)
    assert limit.limit == 100


@pytest.mark.parametrize(("in_flight", "grown"), [(25, 32), (26, 64), (32, 64)])
def test_a_limit_that_is_not_used_is_not_raised(in_flight: int, grown: int) -> None:
    """It grows if at least four fifths of it were under way at once."""
    limit = concurrency()
    limit.add([100.0] * 32, in_flight)
    assert limit.limit == grown


@pytest.mark.parametrize(("overloads", "then"), [(0, 200), (8, 200), (9, 70), (100, 70)])
def test_eight_in_a_hundred_overloads_are_tolerated(overloads: int, then: int) -> None:
    """Up to that share the limit grows as if there were none; beyond it, it decreases by three tenths."""
    limit = concurrency(start=100)
    for _ in range(overloads):
        limit.add_overload(100)
    limit.add([100.0] * (100 - overloads), 100)
    assert limit.limit == then


def test_the_limit_shrinks_when_two_windows_are_slow() -> None:
    """One slow window lets it rest; the second brings it down by as much as it is slow, the third lets it rest."""
    limit = slowed()
    limit.add([200.0] * 64, 64)
    assert limit.limit == int(64 * 155 / 200)
    limit.add([200.0] * 49, 49)
    assert limit.limit == 49
    limit.add([1e6] * 49, 49)
    assert limit.limit == int(64 * 155 / 200 * 0.7)


def test_a_slow_window_is_forgotten_after_a_good_one() -> None:
    """Slow, good, slow: none of it is two in a row."""
    limit = slowed()
    limit.add([100.0] * 64, 10)
    limit.add([200.0] * 64, 64)
    assert limit.limit == 64


def test_a_slow_window_is_forgotten_after_an_overloaded_one() -> None:
    """The decrease by overloads is the answer to what was slow before it."""
    limit = slowed()
    for _ in range(64):
        limit.add_overload(1)
    assert limit.limit == 44
    limit.add([200.0] * 44, 44)
    assert limit.limit == 44


def test_after_a_decrease_the_limit_grows_by_small_steps() -> None:
    """A quarter of the root of the limit each time, at least 1."""
    limit = concurrency(start=400)
    for _ in range(400):
        limit.add_overload(1)
    exact = 400 * 0.7
    for _ in range(8):
        assert limit.limit == int(exact)
        limit.add([100.0] * limit.limit, limit.limit)
        exact += math.sqrt(exact) / 4
    few = concurrency(start=5)
    for _ in range(32):
        few.add_overload(1)
    few.add([100.0] * 32, 5)
    assert few.limit == int(5 * 0.7 + 1)


@pytest.mark.parametrize(("ms", "is_slow"), [(155.0, False), (155.5, True)])
def test_half_as_much_again_and_five_milliseconds_are_not_slow(ms: float, is_slow: bool) -> None:
    """Of a latency of 100 ms without load, 155 ms under load are accepted."""
    limit = concurrency()
    for latency in (100.0, ms):
        limit.add([latency] * limit.limit, limit.limit)
    assert limit.limit == (64 if is_slow else 128)


@pytest.mark.parametrize(("distance", "is_slow"), [(0.0, True), (80.0, True), (100.0, False)])
def test_latencies_that_scatter_are_judged_with_more_patience(distance: float, is_slow: bool) -> None:
    """A median of 175 ms is 20 too much; 0.23 of the distance of the quartiles is conceded."""
    limit = concurrency()
    limit.add([100.0] * 32, 32)
    limit.add([175 - distance / 2] * 24 + [175.0] * 16 + [175 + distance / 2] * 24, 64)
    assert limit.limit == (64 if is_slow else 128)


@pytest.mark.parametrize(("ms", "is_slow"), [(169.9, False), (171.0, True)])
def test_the_latency_without_load_follows_the_server(ms: float, is_slow: bool) -> None:
    """At no more requests than at the start, a fifth of what is new counts: 100 ms and then 150 are 110."""
    limit = concurrency()
    limit.add([100.0] * 32, 32)
    limit.add([150.0] * 64, 32)
    limit.add([ms] * 64, 64)
    assert limit.limit == (64 if is_slow else 128)


def test_the_latency_under_load_is_not_taken_for_that_without() -> None:
    """With more requests than at the start, a latency between half and all of it changes nothing."""
    limit = concurrency()
    limit.add([200.0] * 32, 32)
    limit.add([120.0] * 64, 33)
    limit.add([250.0] * 64, 64)
    assert limit.limit == 128


@pytest.mark.parametrize(("ms", "then"), [(140.0, 128), (150.0, 64)])
def test_half_the_latency_under_load_is_the_one_without(ms: float, then: int) -> None:
    """The first answers were slow ones: 90 ms after 200 are the measure from now on."""
    limit = concurrency()
    limit.add([200.0] * 32, 32)
    limit.add([90.0] * 64, 33)
    limit.add([ms] * 64, 64)
    assert limit.limit == then


def test_answers_that_take_no_time_are_not_slow() -> None:
    """A clock may show no difference at all."""
    limit = concurrency()
    limit.add([0.0] * 32, 32)
    limit.add([0.0] * 64, 64)
    assert limit.limit == 128


def test_what_was_under_way_at_a_decrease_is_passed_over() -> None:
    """The six that were sent under the larger limit are no news; the window after them is."""
    limit = slowed()
    limit.add([200.0] * 64, 70)
    assert limit.limit == 49
    limit.add([100.0] * 6, 49)
    limit.add([100.0] * 48, 49)
    assert limit.limit == 49
    limit.add([100.0], 49)
    assert limit.limit > 49


def test_overloads_under_way_at_a_decrease_are_passed_over_one_by_one() -> None:
    """After a decrease with 40 under way, the other 39 say the same; 32 after them are the next decrease."""
    limit = concurrency(start=30)
    for _ in range(32):
        limit.add_overload(40)
    assert limit.limit == 21
    for _ in range(39 + 31):
        limit.add_overload(1)
    assert limit.limit == 21
    limit.add_overload(1)
    assert limit.limit == 14


def test_a_growing_limit_passes_nothing_over() -> None:
    """Only a decrease makes the requests under way old news."""
    limit = concurrency()
    limit.add([100.0] * 32, 60)
    limit.add([100.0] * 64, 64)
    assert limit.limit == 128


def test_an_outage_is_followed_by_a_whole_window_and_doubling() -> None:
    """What was counted before it and what is under way is forgotten; the limit begins at the start, and doubles."""
    limit = concurrency()
    for latency in (100.0, 100.0):
        limit.add([latency] * limit.limit, limit.limit)
    limit.back_off(500)
    assert limit.limit == int(128 * 0.7)
    limit.restart()
    assert limit.limit == 32
    limit.add([100.0] * 31, 32)
    limit.add([100.0], 32)
    assert limit.limit == 64
    small = concurrency()
    small.back_off(0)
    small.restart()
    assert small.limit == 22


def test_a_back_off_is_a_decrease_whatever_was_counted() -> None:
    """Three tenths at once; what is still under way says no more, and the floor holds."""
    limit = concurrency(min_concurrency=20)
    limit.add([100.0] * 31, 32)
    limit.back_off(5)
    assert limit.limit == 22
    for _ in range(5 + 31):
        limit.add_overload(1)
    assert limit.limit == 22
    limit.add_overload(1)
    assert limit.limit == 20


@pytest.mark.parametrize(("overloads", "then"), [(8, 2), (9, 1)])
def test_twice_what_is_refused_at_the_floor_is_tolerated(overloads: int, then: int) -> None:
    """Four in 32 at the floor: then eight in 32 are the API's own weather, and nine are too much."""
    limit = at_the_floor(4)
    assert limit.limit == 2
    window(limit, overloads)
    assert limit.limit == then


@pytest.mark.parametrize(("overloads", "then"), [(16, 2), (17, 1)])
def test_more_than_half_is_never_tolerated(overloads: int, then: int) -> None:
    """However many were refused at the floor."""
    limit = at_the_floor(10)
    window(limit, overloads)
    assert limit.limit == then


@pytest.mark.parametrize(("overloads", "then"), [(14, 2), (15, 1)])
def test_what_is_refused_at_the_floor_is_measured_again_each_time(overloads: int, then: int) -> None:
    """A fifth of what is new counts: 8 in 32 and then 3 are 7, twice of which is tolerated."""
    limit = at_the_floor(8)
    window(limit, 17)
    assert limit.limit == 1
    window(limit, 3)
    assert limit.limit == 2
    window(limit, overloads)
    assert limit.limit == then


def test_after_an_outage_nothing_is_tolerated_that_was_before_it() -> None:
    """The server is another one, as far as anybody knows."""
    limit = concurrency(start=2, ceiling=2)
    window(limit, 32)
    window(limit, 8)
    assert limit.limit == 2
    limit.restart()
    window(limit, 3)
    assert limit.limit == 1


def at_the_floor(overloads: int) -> Concurrency:
    """Return a limit that has had a window of 32 with so many overloads at its floor, 1, and has grown to 2."""
    limit = concurrency(start=1, ceiling=2)
    window(limit, overloads)
    assert limit.limit == 2
    return limit


def window(limit: Concurrency, overloads: int) -> None:
    """Let 32 requests end one after the other, as many of them as overloads."""
    for place in range(32):
        if place < overloads:
            limit.add_overload(1)
        else:
            limit.add([100.0], min(limit.limit, 32 - place))


def test_without_adapting_nothing_changes_the_limit() -> None:
    """An outage, refusals and slow answers leave the author's number."""
    limit = concurrency(ceiling=100, adaptive=False)
    limit.restart()
    limit.back_off(5)
    for _ in range(200):
        limit.add_overload(100)
    limit.add([1.0] * 200, 100)
    assert limit.limit == 100


def test_a_rate_without_a_limit_makes_nobody_wait() -> None:
    """Without an author's rate and without a refusal, the next request may be sent at any time."""
    for rate in (LocalBudget(None), Rate()):
        rate.sent(100.0)
        assert (rate.per_s, rate.next_s) == (None, -math.inf)


def test_requests_follow_each_other_at_the_rate() -> None:
    """The first one that is late makes up for a twentieth of a second; the others keep the distance."""
    rate = LocalBudget(10.0)
    assert rate.per_s == 10.0
    moments = []
    for now in (100.0, 100.05, 100.15, 200.0):
        rate.sent(now)
        moments.append(rate.next_s)
    assert moments == pytest.approx([100.05, 100.15, 100.25, 200.05])


def test_what_was_accepted_in_the_last_second_is_what_a_server_allows() -> None:
    """With what is in flight it makes 60 a second, of which the rate is 85 %; what is older doesn't count."""
    assert refusing().per_s == pytest.approx(60 * 0.85)
    late = Rate()
    late.accepted(8.5, 8.4, 1000)
    late.refused(10.0, 9.9, 60)
    assert late.per_s == pytest.approx(60 * 0.85)
    one = Rate()
    one.accepted(9.5, 9.4)
    one.refused(10.0, 9.9, 3)
    assert one.per_s == pytest.approx(4 * 0.85)


@pytest.mark.parametrize(("per_s", "then"), [(None, 0.85), (1.5, 0.85), (5.0, 2.5 * 0.85), (20.0, 8.5)])
def test_one_refusal_costs_no_more_than_half_of_the_rate(per_s: float | None, then: float) -> None:
    """A server that has accepted nothing lately is asked at half of the rate, but never for less than 1 a second."""
    rate = Rate()
    rate.refused(10.0, 9.9, 0, per_s)
    assert rate.per_s == pytest.approx(then)


@pytest.mark.parametrize(
    ("now", "begun", "then"),
    [
        (10.99, 10.9, 51.0),
        (11.0, 10.79, 51.0),
        (11.0, 10.8, 51 * 0.9 * 0.85),
        (14.9, 14.8, 51 * 0.9 * 0.85),
        (15.0, 14.9, 51 * 0.85),
    ],
)
def test_a_refusal_counts_if_the_server_has_accepted_something_since_the_last(
    now: float, begun: float, then: float
) -> None:
    """Not within a second of it, and not of a request sent before that; one within five says that it was too high."""
    rate = refusing()
    rate.accepted(10.8, 10.6)
    rate.refused(now, begun, 500)
    assert rate.per_s == pytest.approx(then)


def test_a_refusal_that_is_repeated_says_nothing_new() -> None:
    """What was sent after it, and before the server has accepted something sent after it, is the same refusal."""
    rate = refusing()
    assert [rate.is_repeated(begun) for begun in (9.9, 10.0, 10.1, 1e6)] == [False, False, True, True]
    rate.accepted(10.4, 10.0)
    assert rate.is_repeated(10.4)
    rate.accepted(10.5, 10.2)
    rate.accepted(10.9, 10.3)
    assert [rate.is_repeated(begun) for begun in (10.4, 10.5, 10.6)] == [True, False, False]


@pytest.mark.parametrize(
    ("now", "then"), [(10.0, 51.0), (11.0, 54.0), (12.0, 57.0), (12.5, 58.2), (30.0, 58.2), (40.0, 61.2), (50.0, 70.2)]
)
def test_the_rate_comes_back_rests_and_tries_for_more(now: float, then: float) -> None:
    """Of 60 a second: 85 %, then 5 % more each second up to 97 %, that for 20 s, and then more and more."""
    rate = refusing()
    rate.sent(now)
    assert rate.per_s == pytest.approx(then)


@pytest.mark.parametrize(("now", "then"), [(10.0, 42.5), (1000.0, 50.0)])
def test_the_rate_never_tries_for_more_than_the_authors(now: float, then: float) -> None:
    """Of 50 a second that the author has set, a refusal takes some, and time gives them back, no more."""
    gate = Limiter(Throttle(initial_concurrency=100, rate_per_s=50.0), 100)
    gate.begin(9.0, 61)
    gate.end(TOO_MANY, 100.0, 10.0)
    gate.begin(now)
    assert gate.state(now)["rate_limit_per_s"] == then
    slowed = gate.slowed(now - 1.0)
    assert slowed is not None
    assert slowed[1] == pytest.approx(now - 0.05 + 1 / then)


def test_another_limit_of_the_authors_counts_at_once() -> None:
    """Without a refusal it is the rate; after one, what the server seems to allow stays the lower limit."""
    budget = LocalBudget(100.0)
    gate = Limiter(Throttle(initial_concurrency=100), 100, budget)
    budget.allow(70.0)
    assert gate.state(0.0)["rate_limit_per_s"] == 70.0
    gate.begin(9.0, 61)
    gate.end(TOO_MANY, 100.0, 10.0)
    budget.allow(200.0)
    assert gate.state(10.0)["rate_limit_per_s"] == 51.0
    budget.allow(40.0)
    assert gate.state(10.0)["rate_limit_per_s"] == 40.0
    gate.begin(1000.0)
    assert gate.wait_s(1000.0) == 0.0
    gate.begin(1000.0)
    assert gate.wait_s(1000.0) == pytest.approx(2 / 40 - 0.05)


def test_there_is_room_for_what_may_be_sent_without_a_look_at_the_clock() -> None:
    """As many as the limit has left; one at a time where a rate is kept."""
    gate = Limiter(Throttle(initial_concurrency=5), 10)
    assert gate.room == 5
    gate.begin(0.0, 2)
    assert (gate.room, gate.in_flight) == (3, 2)
    gate.answered([1.0, 1.0], 1.0)
    assert (gate.room, gate.in_flight) == (5, 0)
    assert Limiter(Throttle(initial_concurrency=5, rate_per_s=50.0), 10).room == 1


def test_only_a_rate_that_the_server_takes_is_its_refusal() -> None:
    """The author's own rate is none; after a refusal it is, until the author's rate is the lower one again."""
    gate = Limiter(Throttle(initial_concurrency=100, rate_per_s=50.0), 100)
    gate.begin(9.0, 61)
    assert "refuses" not in gate.state(9.0)
    gate.end(TOO_MANY, 100.0, 10.0)
    assert gate.state(10.0)["refuses"] is True
    gate.begin(1000.0)
    assert "refuses" not in gate.state(1000.0)


def test_a_sender_is_told_how_long_to_wait() -> None:
    """Until the rate allows the next one, until one under way has ended, or not at all."""
    gate = Limiter(Throttle(initial_concurrency=2, rate_per_s=10.0), 10)
    assert gate.wait_s(100.0) == 0.0
    gate.begin(100.0)
    assert gate.wait_s(100.0) == pytest.approx(0.05)
    assert gate.wait_s(200.0) == 0.0
    gate.begin(200.0)
    assert gate.wait_s(300.0) == math.inf


def test_the_state_is_told_to_a_tenth() -> None:
    """Limit, rate and pause are what a person reads in the log."""
    assert Limiter(Throttle(initial_concurrency=5), 10).state(0.0) == {
        "limit": 5,
        "rate_limit_per_s": None,
        "paused_s": 0.0,
    }
    gate = Limiter(Throttle(initial_concurrency=5, rate_per_s=7.26), 10)
    gate.pause(3.26, 1.0)
    assert gate.state(2.0) == {"limit": 5, "rate_limit_per_s": 7.3, "paused_s": 2.3}
    assert gate.state(10.0)["paused_s"] == 0.0
    assert repr(gate) == "Limiter(0 of 5 in flight, 7.26 per second)"


def test_a_pause_begins_once() -> None:
    """A longer one that comes during it goes on from its beginning; one that comes when it is over is another."""
    gate = Limiter(Throttle(), 10)
    gate.pause(5.0, 1.0)
    gate.pause(9.0, 2.0)
    assert (gate.paused_s, gate.paused_until_s) == (1.0, 11.0)
    gate.pause(1.0, 11.0)
    assert (gate.paused_s, gate.paused_until_s) == (11.0, 12.0)


def refused_at_ten() -> Limiter:
    """Return the gate of a server that has refused a request at 10 s, with 60 under way."""
    gate = Limiter(Throttle(initial_concurrency=100), 100)
    gate.begin(9.0, 61)
    gate.end(TOO_MANY, 100.0, 10.0)
    assert gate.state(10.0)["rate_limit_per_s"] == 51.0
    return gate


@pytest.mark.parametrize(("ms", "counts"), [(999.5, True), (1000.0, False), (1000.4, False)])
@pytest.mark.parametrize("together", [True, False])
def test_only_what_was_sent_after_a_refusal_shows_that_the_server_accepts_again(
    ms: float, counts: bool, together: bool
) -> None:
    """An answer at 11 s to a request of 10 s and later makes the next refusal a new one."""
    gate = refused_at_ten()
    if together:
        gate.answered([ms, 5000.0] if counts else [ms], 11.0)
    else:
        gate.end(OK, ms, 11.0)
    gate.end(TOO_MANY, 0.0, 12.0)
    assert (gate.state(12.0)["rate_limit_per_s"] != 51.0) is counts


@pytest.mark.parametrize(("outcome", "then"), [(TOO_MANY, 22), (BUSY, 22), (OK, 64), (Outcome(Kind.NULL), 64)])
def test_a_refusal_is_an_overload(outcome: Outcome, then: int) -> None:
    """32 that are refused bring the limit down; 32 that are answered let it grow; a 404 says nothing."""
    gate = Limiter(Throttle(initial_concurrency=32), 100)
    gate.begin(0.0, 32 + 10)
    for _ in range(10):
        gate.end(Outcome(Kind.HTTP_ERROR, status=404), 100.0, 0.5)
    for _ in range(32):
        gate.begin(0.5)
        gate.end(outcome, 100.0, 0.6)
    assert gate.state(1.0)["limit"] == then


def test_repeated_refusals_do_not_bring_the_limit_down() -> None:
    """A server that is still refusing for the same reason isn't overloaded by the number at once."""
    gate = refused_at_ten()
    for _ in range(200):
        gate.begin(10.5)
        gate.end(TOO_MANY, 1.0, 10.6)
    assert gate.state(11.0)["limit"] == 100
