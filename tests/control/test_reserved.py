from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.control.budget import LocalBudget
from airflow_fanout.control.demand import Demand
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.reserved import ReservedBudget
from airflow_fanout.control.server_clock import ServerClock
from airflow_fanout.control.throttle import Limiter
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import FetchSettings, Throttle


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def budget(clock: Clock, per_s: float | None = None, all_per_s: float = 100) -> ReservedBudget:
    """Return a budget that has no slots yet."""
    reserved = ReservedBudget(LocalBudget(per_s), "calls", clock)
    reserved.share(all_per_s, all_per_s)
    reserved.needs = 10
    return reserved


def test_a_request_waits_for_its_slot() -> None:
    """And is sent in no other one; without a slot, nothing is sent."""
    clock = Clock()
    reserved = budget(clock)
    limiter = Limiter(Throttle(adaptive=False), 10, reserved)
    waits = [limiter.wait_s(0.0)]
    reserved.take([0.3, 0.1])
    waits.append(limiter.wait_s(0.0))
    clock.now_s = 0.1
    waits.append(limiter.wait_s(0.1))
    limiter.begin(0.1)
    waits.append(limiter.wait_s(0.1))

    assert waits == [math.inf, 0.1, 0.0, pytest.approx(0.2)]


def test_a_slot_that_is_over_when_it_comes_is_not_missed() -> None:
    """An engine that gets such slots could not have used them, so it doesn't ask for fewer."""
    clock = Clock()
    clock.now_s = 5.0
    reserved = budget(clock)
    reserved.take([4.0, 4.9, 4.95, 5.1])

    assert (reserved.held, reserved.given_up, reserved.missed, reserved.next_s) == (2, 2, 0, 4.95)


@pytest.mark.parametrize(("all_per_s", "late_s"), [(100, 0.08), (3_000, 0.08), (1, 0.25), (0.1, 1.0), (0, 0.25)])
def test_a_slot_that_is_late_is_given_up(all_per_s: float, late_s: float) -> None:
    """Never by more than a second, and never in a burst with the next ones."""
    clock = Clock()
    reserved = budget(clock, all_per_s=all_per_s)
    reserved.take([1.0, 50.0])
    clock.now_s = 1.0 + late_s - 0.001
    held = reserved.held
    clock.now_s = 1.0 + late_s + 0.001

    assert (held, reserved.held, reserved.given_up, reserved.next_s) == (2, 1, 1, 50.0)


def test_the_authors_own_rate_counts_as_well() -> None:
    """A fetch with a rate of its own is no faster because the API would take more."""
    reserved = budget(Clock(), per_s=2.0)
    reserved.take([0.0, 0.01, 0.02])
    reserved.sent(0.0)

    assert reserved.next_s >= 0.4


def test_what_is_waited_for_is_said() -> None:
    """Its turn, or what the parent says; nothing while there is nothing to send."""
    reserved = budget(Clock())
    traffic = Traffic(FetchSettings(), reserved)
    turn = traffic.waits(0.0, 0)
    reserved.why = "MongoDB to answer"
    away = traffic.waits(0.0, 0)
    reserved.needs = 0

    assert turn is not None
    assert turn[1] == "its share of the request budget 'calls'"
    assert away is not None
    assert away[1] == "MongoDB to answer"
    assert traffic.waits(0.0, 0) is None


def test_a_retry_after_is_kept_for_the_others() -> None:
    """The engine's own pause begins at once, and its parent can tell everybody."""
    reserved = budget(Clock())
    limiter = Limiter(Throttle(), 10, reserved)
    limiter.begin(0.0)
    limiter.end(Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=7.0), 5.0, 0.005)

    assert reserved.pause_asked_s == 7.0


@pytest.mark.parametrize(("retry_after_s", "is_slowed"), [(1.0, False), (None, True)])
def test_a_pause_that_slows_all_slows_no_engine_alone(retry_after_s: float | None, is_slowed: bool) -> None:
    """An engine that is refused without a word of a pause finds out by itself what the API takes."""
    limiter = Limiter(Throttle(), 10, budget(Clock()))
    limiter.begin(0.0)
    limiter.end(Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=retry_after_s), 5.0, 0.005)

    assert ("refuses" in limiter.state(5.0)) == is_slowed


def test_a_cap_on_requests_at_once_holds_and_is_lifted() -> None:
    """The throttle goes on below it, and comes back to what it had learned."""
    limiter = Limiter(Throttle(adaptive=False), 10)
    limits = []
    for cap in (3, 0, 10):
        limiter.cap(cap)
        limits.append(limiter.room)

    assert limits == [3, 0, 10]


def test_demand_follows_what_is_used() -> None:
    """A fetch that uses 60 of 100 asks for little more; when it uses all, it soon asks for everything."""
    demand = Demand(100_000 * MICRO)
    demand.note(60, 40, MICRO, 100 * MICRO, at_once=500)
    limited = demand.wants_micro
    for _ in range(3):
        demand.note(66, 0, MICRO, 100 * MICRO, at_once=500)
    free = demand.wants_micro
    demand.note(0, 50, MICRO, 100 * MICRO, at_once=500)

    assert limited == pytest.approx(66 * MICRO, rel=0.01)
    assert free == 100 * MICRO
    assert demand.wants_micro == 2 * MICRO


@pytest.mark.parametrize(("at_once", "sent", "rises"), [(1, 46, True), (1, 44, False), (10, 91, True), (10, 89, False)])
def test_a_slot_for_which_there_is_no_place_is_no_reason_to_ask_for_fewer(at_once: int, sent: int, rises: bool) -> None:
    """With one place, 55 % of the slots may be missed, with ten 10 %: who asked for fewer would leave places unused."""
    demand = Demand(100_000 * MICRO)
    demand.wants_micro = 100 * MICRO
    demand.note(sent, 100 - sent, MICRO, 1_000 * MICRO, at_once=at_once)

    assert demand.wants_micro == (200 * MICRO if rises else pytest.approx((1.1 + 1 / at_once) * sent * MICRO))


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 50_000), st.integers(0, 50_000)), min_size=1),
)
def test_a_servers_clock_is_known_as_well_as_its_best_answer(
    ahead_us: int, answers: list[tuple[int, int, int]]
) -> None:
    """Whatever the network delays: the error is at most half of what the quickest answer has taken."""
    clock, now_us, quickest_us = ServerClock(1_000), 0, math.inf
    for pause_us, there_us, back_us in answers:
        asked_us = now_us + pause_us
        seen_us = asked_us + there_us
        now_us = seen_us + back_us
        clock.heard((seen_us + ahead_us) // 1_000 * 1_000, asked_us, now_us)
        quickest_us = min(quickest_us, there_us + back_us)

    # Two clocks may drift apart meanwhile.
    assert abs(clock.ahead_us - ahead_us) <= (quickest_us + 1_000) / 2 + 100e-6 * now_us + 1


def test_a_servers_clock_that_was_set_is_believed() -> None:
    """Its next answer contradicts all before."""
    clock = ServerClock(1_000)
    sets_us = [clock.heard(5_000_000, 0, 1_000), clock.heard(5_010_000, 10_000, 11_000)]
    sets_us += [clock.heard(2_000_000, 20_000, 21_000), clock.heard(2_500_000, 30_000, 31_000)]

    assert clock.ahead_us == pytest.approx(2_470_000, abs=1_000)
    # By how much it was put forward each time.
    assert sets_us == [0, 0, pytest.approx(-3_020_000, abs=1_000), pytest.approx(490_000, abs=1_000)]
