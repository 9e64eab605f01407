from __future__ import annotations

import math
import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.control.throttle import Limiter
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Throttle
from tests.control.server import (
    BUSY,
    LATE,
    OK,
    REFUSED,
    cold,
    crowded,
    knee,
    lossy,
    queue,
    quota,
    resetting,
    scattered,
    simulate,
    steady,
)

OUTCOMES = st.sampled_from(
    [
        OK,
        Outcome(Kind.NULL),
        LATE,
        BUSY,
        REFUSED,
        Outcome(Kind.CONNECTION_ERROR),
        Outcome(Kind.HTTP_ERROR, status=500),
        Outcome(Kind.HTTP_ERROR, status=429),
        Outcome(Kind.OK, retry_after_s=3.0),
    ]
)


def limit(gate: Limiter) -> int:
    """Return the limit of this moment."""
    found: int = gate.state(0.0)["limit"]
    return found


@pytest.mark.parametrize(("ceiling", "at_least"), [(100, 0.97), (1000, 0.9)])
def test_a_server_that_keeps_up_is_used_to_the_ceiling(ceiling: int, at_least: float) -> None:
    """At steady latency the limit soon is the author's, and nearly all that it allows is reached."""
    seen = simulate(Limiter(Throttle(), ceiling), steady(0.2), 10)
    assert seen.limits_since(3) == [ceiling] * len(seen.limits_since(3))
    assert seen.ok / seen.seconds >= at_least * ceiling / 0.2 * 0.95


@pytest.mark.parametrize("latency_s", [0.02, 0.05, 0.2, 0.5])
def test_the_limit_settles_where_latency_doubles(latency_s: float) -> None:
    """A server that is twice as slow beyond 40 requests at once gets between 25 and 80, whatever the ceiling."""
    tail = simulate(Limiter(Throttle(), 400), knee(latency_s, 40), 90).limits_since(30)
    assert 25 <= min(tail) <= max(tail) <= 80


@pytest.mark.parametrize("latency_s", [0.05, 0.2])
def test_a_queue_is_not_made_longer_than_it_helps(latency_s: float) -> None:
    """A server of 40 workers is kept busy, with less than as many requests again waiting in its line."""
    seen = simulate(Limiter(Throttle(), 400), queue(latency_s, 40), 60)
    assert 40 <= min(seen.limits_since(20)) <= max(seen.limits_since(20)) < 80
    assert seen.ok / seen.seconds >= 0.95 * 40 / latency_s


def test_a_server_that_refuses_beyond_a_number_is_not_pressed() -> None:
    """A server that answers 503 beyond 40 requests at once gets about 40."""
    tail = simulate(Limiter(Throttle(), 400), crowded(0.1, 40), 60).limits_since(20)
    assert 20 <= min(tail) <= max(tail) <= 50


@pytest.mark.parametrize("most", [8, 40])
def test_a_server_that_resets_beyond_a_number_is_not_pressed(most: int) -> None:
    """A server that resets connections beyond so many at once is slowed down for as one that answers 503."""
    seen = simulate(Limiter(Throttle(), 400), resetting(0.1, most), 60)
    tail = seen.limits_since(20)
    assert most / 2 <= min(tail) <= max(tail) <= most * 1.25
    assert seen.ok / seen.seconds >= 0.6 * most / 0.1


def test_slow_first_answers_are_no_measure() -> None:
    """What is slow only at first (cold caches, handshakes) doesn't hide where latency doubles later."""
    seen = simulate(Limiter(Throttle(initial_concurrency=8), 400), cold(0.05, slow_s=0.2, first=40, most=40), 90)
    assert 25 <= min(seen.limits_since(60)) <= max(seen.limits_since(60)) <= 80


@pytest.mark.parametrize("offset_s", [0.0, 0.3, 0.77])
@pytest.mark.parametrize("latency_s", [0.01, 0.05, 0.2])
def test_a_quota_is_used_and_respected(latency_s: float, offset_s: float) -> None:
    """Of 200 requests a second that a server allows, at least 85 % are used, and fewer than 5 % are refused."""
    seen = simulate(Limiter(Throttle(), 400), quota(latency_s, 200, offset_s), 60)
    assert seen.ok / seen.seconds >= 0.85 * 200
    assert seen.refused_share < 0.05


@pytest.mark.parametrize("latency_s", [0.5, 1.0])
def test_a_slow_servers_quota_is_used_in_the_long_run(latency_s: float) -> None:
    """Where the slow start takes a while, the same holds for the time after it."""
    gate, server = Limiter(Throttle(), 400), quota(latency_s, 200)
    seen = simulate(gate, server, 120)
    assert bisect_right(seen.sent, 120) - bisect_right(seen.sent, 60) >= 0.85 * 200 * 60
    assert seen.refused_share < 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", ["uniform", "sigma 0.5", "sigma 1"])
def test_noise_does_not_bring_the_limit_down(noise: str, seed: int) -> None:
    """Latencies that scatter, but not with the load, don't keep the limit from its ceiling."""
    chance = random.Random(seed)
    draws = {
        "uniform": lambda: chance.uniform(0.05, 0.15),
        "sigma 0.5": lambda: chance.lognormvariate(math.log(0.1), 0.5),
        "sigma 1": lambda: chance.lognormvariate(math.log(0.1), 1.0),
    }
    tail = simulate(Limiter(Throttle(), 200), scattered(draws[noise]), 60).limits_since(20)
    assert min(tail) >= 100


@pytest.mark.parametrize("seed", range(3))
def test_requests_that_get_lost_by_chance_do_not_bring_the_limit_down(seed: int) -> None:
    """Two in a hundred that never answer, at any load, cost their own time and nobody else's."""
    server = lossy(0.1, timeout_s=2.0, share=0.02, chance=random.Random(seed))
    seen = simulate(Limiter(Throttle(), 200), server, 60)
    assert min(seen.limits_since(20)) >= 100
    assert seen.ok / seen.seconds >= 1000


@pytest.mark.parametrize("share", [1 / 10, 1 / 8, 1 / 5])
def test_a_broken_node_does_not_bring_the_limit_down(share: float) -> None:
    """One of eight nodes answers 503, at any load: the others' answers come nearly as fast as without it."""
    gate, chance = Limiter(Throttle(), 32), random.Random(7)
    seen = simulate(gate, lambda _now, _in_flight: (0.05, BUSY if chance.random() < share else OK), 120)
    assert seen.ok / seen.seconds >= 0.8 * (1 - share) * 32 / 0.05


def test_after_a_broken_node_a_server_that_refuses_beyond_a_number_is_still_not_pressed() -> None:
    """What was tolerated at the floor leaves room to notice what a higher load brings."""
    gate, chance = Limiter(Throttle(), 400), random.Random(7)
    crowd = crowded(0.1, 40)
    seen = simulate(gate, lambda now, many: (0.05, BUSY) if chance.random() < 0.1 else crowd(now, many), 240)
    assert 20 <= min(seen.limits_since(200)) <= max(seen.limits_since(200)) <= 60


@pytest.mark.parametrize("per_s", [0.5, 7.0, 50.0, 333.0])
def test_the_authors_rate_is_kept_exactly(per_s: float) -> None:
    """With a rate, 97 % of it are used in the long run, and no second has more than the rate says."""
    seen = simulate(Limiter(Throttle(rate_per_s=per_s, adaptive=False), 200), steady(0.1), 60)
    assert 0.96 * 60 * per_s <= len(seen.sent) <= 60 * per_s + 1
    assert most_in_a_second(seen.sent) <= math.ceil(per_s)


@pytest.mark.parametrize("seed", range(5))
def test_a_sender_that_is_late_again_and_again_keeps_the_rate(seed: int) -> None:
    """Each request is sent a while after it may be, and takes a while to the server: no second has more than 50."""
    chance = random.Random(seed)
    gate, now, arrived = Limiter(Throttle(rate_per_s=50.0, adaptive=False), 10**6), 0.0, []
    while now < 60:
        now += gate.wait_s(now) + chance.choice((0.0, 0.001, 0.002, chance.expovariate(200)))
        if gate.wait_s(now) == 0.0:
            gate.begin(now)
            arrived.append(now + chance.uniform(0.0, 0.015))
    assert most_in_a_second(sorted(arrived)) <= 50
    assert len(arrived) >= 0.95 * 50 * 60


def most_in_a_second(moments: list[float]) -> int:
    """Return how many of the moments, which are in order, are in the second that has most of them."""
    return max(bisect_right(moments, moment + 1.0) - first for first, moment in enumerate(moments))


@pytest.mark.parametrize("offset_s", [0.0, 0.37])
@pytest.mark.parametrize("seed", range(3))
def test_an_agreed_rate_is_used_and_not_exceeded(seed: int, offset_s: float) -> None:
    """Of 100 requests a second, which author and server agree on, at least 95 % are used, and none is refused.

    Each request is some milliseconds longer or shorter on its way than the one before.
    """
    chance = random.Random(seed)
    server = quota(0.05, 100, offset_s, lambda: chance.expovariate(1 / 0.002))
    seen = simulate(Limiter(Throttle(rate_per_s=100), 32), server, 60.0)
    assert seen.refused == 0
    assert 95 <= seen.ok / seen.seconds <= 100


def test_after_a_rest_there_is_no_burst() -> None:
    """What wasn't sent while there was nothing to do is not made up for."""
    gate = Limiter(Throttle(rate_per_s=10.0), 200)
    gate.begin(0.0)
    sent, now = 0, 60.0
    while gate.wait_s(now) == 0.0:
        gate.begin(now)
        sent += 1
    assert sent == 1
    assert 0.05 <= gate.wait_s(now) <= 0.1


def test_a_refusing_servers_rate_stays_below_the_authors() -> None:
    """The author's rate is a limit, also when the server seems to allow more."""
    seen = simulate(Limiter(Throttle(rate_per_s=50.0), 400), quota(0.05, 40), 120)
    assert len(seen.sent) <= 50 * 120
    assert seen.ok >= 0.85 * 40 * 120


def test_a_server_that_asks_for_a_pause_gets_it_from_everybody() -> None:
    """From a `Retry-After` on nothing is sent until it is over; a shorter one later takes nothing away."""
    gate = Limiter(Throttle(adaptive=False), 100)
    for _ in range(3):
        gate.begin(0.0)
    gate.end(Outcome(Kind.HTTP_ERROR, status=503, retry_after_s=5.0), 10.0, 1.0)
    gate.end(Outcome(Kind.HTTP_ERROR, status=503, retry_after_s=2.0), 10.0, 1.5)
    assert (gate.wait_s(1.5), gate.wait_s(5.0), gate.wait_s(6.0)) == (4.5, 1.0, 0.0)
    assert gate.state(2.0)["paused_s"] == 4.0


def test_a_good_answer_may_ask_for_a_pause_too() -> None:
    """An answer that says that it was the last one for a while is believed."""
    gate = Limiter(Throttle(), 100)
    gate.begin(0.0)
    gate.end(Outcome(Kind.OK, retry_after_s=30.0), 10.0, 1.0)
    assert gate.wait_s(1.0) == 30.0


@pytest.mark.parametrize("server", [steady(0.1), knee(0.1, 10), crowded(0.1, 10)])
def test_a_throttle_that_does_not_adapt_is_always_at_the_ceiling(server: object) -> None:
    """With `adaptive=False` the concurrency is the author's, whatever the server does."""
    seen = simulate(Limiter(Throttle(adaptive=False), 50), server, 10)  # type: ignore[arg-type] # one of three
    assert set(seen.limits_since(0)) == {50}
    assert seen.most_in_flight == 50


def test_the_limit_is_kept_all_the_time() -> None:
    """As many are under way as the limit says, never one more; only one that ends makes room."""
    gate = Limiter(Throttle(initial_concurrency=3), 10)
    for _ in range(3):
        assert gate.wait_s(0.0) == 0.0
        gate.begin(0.0)
    assert gate.wait_s(0.0) == math.inf
    gate.end(OK, 5.0, 1.0)
    assert gate.wait_s(1.0) == 0.0


def test_one_cause_is_one_decrease() -> None:
    """What was sent before a decrease, and is as slow, doesn't bring the limit down once more."""
    gate = Limiter(Throttle(initial_concurrency=64), 64)
    for _ in range(128):
        gate.begin(0.0)
    for _ in range(127):
        gate.end(LATE, 1000.0, 1.0)
    assert limit(gate) == int(64 * 0.7)


def test_an_outage_is_followed_by_a_careful_start() -> None:
    """After an outage the limit begins where the run began, or lower where it was lower, and doubles from there."""
    gate = Limiter(Throttle(initial_concurrency=2), 400)
    simulate(gate, steady(0.1), 10)
    assert limit(gate) == 400
    gate.restart()
    assert limit(gate) == 2
    gate.in_flight = 0
    assert simulate(gate, steady(0.1), 10).limits[-1][1] == 400


@pytest.mark.parametrize(("floor", "start", "ceiling", "first"), [(1, 16, 8, 8), (50, 16, 100, 50), (50, 16, 20, 20)])
def test_the_start_is_between_floor_and_ceiling(floor: int, start: int, ceiling: int, first: int) -> None:
    """Settings that contradict each other mean what is possible; the ceiling is the last word."""
    assert limit(Limiter(Throttle(min_concurrency=floor, initial_concurrency=start), ceiling)) == first


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(1, 60),
    st.booleans(),
    st.lists(st.tuples(OUTCOMES, st.floats(0, 1e5), st.integers(1, 80), st.floats(0, 5)), max_size=60),
)
def test_the_limit_never_leaves_its_bounds(
    floor: int, start: int, ceiling: int, adaptive: bool, runs: list[tuple[Outcome, float, int, float]]
) -> None:
    """Whatever comes back, in whatever order, the limit is between floor and ceiling, and no wait is negative."""
    gate, now = Limiter(Throttle(min_concurrency=floor, initial_concurrency=start, adaptive=adaptive), ceiling), 0.0
    for outcome, ms, times, seconds in runs:
        now += seconds
        for _ in range(times):
            gate.begin(now)
            gate.end(outcome, ms, now)
            assert min(floor, ceiling) <= limit(gate) <= ceiling
            assert gate.wait_s(now) >= 0
            rate = gate.state(now)["rate_limit_per_s"]
            assert rate is None or rate > 0
