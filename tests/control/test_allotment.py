"""Several clients under one quota, in virtual time: they send what the quota allows, then what it allows again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_fanout.control.allotment import allot
from airflow_fanout.control.allowance import LATE_US, Allowance
from airflow_fanout.control.budget_state import BudgetAsk, BudgetState, Limits, Rank, Reservation
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.quiet import QuietHours
from airflow_fanout.control.quota import Quota
from tests.control.budget_world import BEGIN_US, Sender, World
from tests.control.test_quota import moment

# The virtual time begins on 2023-11-14 at 22:13:20 UTC.
MIDNIGHT_S = (moment("2023-11-15T00:00") - BEGIN_US) / MICRO
DAILY = Allowance(quotas=(Quota(requests=10_000, per="day"),))


def sent_before(world: World, seconds: float) -> int:
    """Return how many requests were sent before a moment."""
    return sum(moment_s < seconds for moment_s in world.sent)


def test_a_quota_of_ten_thousand_and_twelve_thousand_requests() -> None:
    """10,000 are sent before midnight, nothing more until then, and the other 2,000 after it."""
    world = World(100, allowance=DAILY)
    world.add(*(Sender(f"shard {number}", 1_500) for number in range(8)))
    world.run(200)
    assert sent_before(world, 200) == 10_000
    world.run(MIDNIGHT_S + 100)
    assert sent_before(world, MIDNIGHT_S) == 10_000
    assert len(world.sent) == 12_000
    assert world.sent[10_000] >= MIDNIGHT_S
    # The rate is used from the renewal on.
    assert world.sent[-1] <= MIDNIGHT_S + 25


def test_the_last_request_under_a_quota_gets_a_slot_that_is_still_to_come() -> None:
    """Wherever in a frame it asks: what is over in it takes no other's place, and counts nowhere."""
    world = World(100, allowance=DAILY)
    asking = Sender("a", 1)
    world.add(asking)
    for step_us in range(0, 3 * MICRO, 77_777):
        answer = world.ask(asking, BEGIN_US + step_us)
        moments = [moment_us for slots in answer.slots for moment_us in slots.moments()]
        assert len(moments) == 1
        assert moments[0] >= BEGIN_US + step_us


def test_a_client_is_told_until_when_and_what_it_waits_for() -> None:
    """The answer has the renewal; what is left is the same for all."""
    world = World(100, allowance=DAILY)
    world.add(Sender("first", 10_000), Sender("second", 500, joins_s=130))
    world.run(120)
    world.run(140)
    answer = world.answers[-1][1]
    assert (answer.is_closed, answer.slots, answer.left) == (True, (), 0)
    assert answer.renewal_us == moment("2023-11-15T00:00")
    assert answer.waits_for == "the renewal of the quota, 10,000 requests per day (UTC)"


def ask(number: int, client: str = "first", unused: tuple[tuple[int, int], ...] = ()) -> BudgetAsk:
    """Return the ask of a client that needs a number of requests."""
    return BudgetAsk(
        client=client,
        rank=Rank.NIGHTLY,
        queue="dag",
        weight=1_000,
        limits=Limits(rate_micro=1_000 * MICRO),
        wants_micro=1_000 * MICRO,
        needs=number,
        wants_at_once=32,
        allowance=DAILY,
        unused=unused,
    )


def reserved(answer: Reservation) -> int:
    """Return how many requests were reserved."""
    return sum(slots.count for slots in answer.slots)


def test_what_was_reserved_and_not_sent_is_given_back() -> None:
    """The next client may send it; after the renewal it counts nowhere."""
    state, first = allot(BudgetState(), ask(400), BEGIN_US)
    assert (reserved(first), first.left) == (400, 9_600)
    state, second = allot(state, ask(0, unused=((first.counted_us, 150),)), BEGIN_US + MICRO)
    assert second.left == 9_750
    tomorrow = moment("2023-11-15T00:00:01")
    state, third = allot(state, replace(ask(10), unused=((first.counted_us, 250),)), tomorrow)
    assert third.left == 10_000 - reserved(third)


@pytest.mark.parametrize("left", [6, 12, 57])
def test_no_more_slots_are_given_than_the_quota_has(left: int) -> None:
    """Also of a frame that has begun, whose slots are over in part: some of these may still be used."""
    state, given_out = BudgetState(usage={"day": ((moment("2023-11-14"), 10_000 - left),)}), 0
    for step in range(80):
        # So few that the frame under way has slots for the next one to ask.
        state, answer = allot(state, ask(5, f"client {step % 5}"), BEGIN_US + step * 60_000)
        given_out += reserved(answer)
        assert sum(counted for _, counted in state.usage["day"]) == 10_000 - left + given_out <= 10_000
    assert given_out == left


def test_a_state_that_was_kept_by_a_client_without_quotas_goes_on() -> None:
    """Its requests aren't counted, and those of others stay counted."""
    state, _ = allot(BudgetState(), ask(400), BEGIN_US)
    state, answer = allot(state, replace(ask(10, "plain"), allowance=None), BEGIN_US + MICRO)
    assert (answer.left, answer.is_closed) == (None, False)
    _, again = allot(state, ask(0), BEGIN_US + 2 * MICRO)
    assert again.left == 9_600


def test_nothing_is_sent_in_quiet_hours() -> None:
    """Two minutes from now until half an hour later; then all goes on."""
    quiet = QuietHours(hours="22:15-22:45")
    world = World(100, allowance=Allowance(quiet_hours=(quiet,)))
    begins_s, ends_s = 100.0, 1_900.0
    world.add(Sender("first", 20_000), Sender("second", 20_000))
    world.run(2_000)
    # A request may be late by a second.
    assert not [moment_s for moment_s in world.sent if begins_s - LATE_US / MICRO <= moment_s < ends_s]
    assert 9_600 <= sent_before(world, begins_s) <= 9_900
    assert sent_before(world, 2_000) - sent_before(world, ends_s) >= 9_700


@settings(max_examples=30, deadline=None)
@given(
    requests=st.integers(1, 600),
    per=st.sampled_from([3, 10, 60]),
    rate=st.sampled_from([5.0, 100.0, 1_000.0]),
    senders=st.lists(
        st.builds(
            Sender,
            st.uuids().map(str),
            st.integers(1, 1_000),
            queue=st.sampled_from("ab"),
            rank=st.sampled_from(Rank),
            joins_s=st.floats(0, 15),
            dies_s=st.none() | st.floats(1, 30),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_no_window_has_more_requests_than_the_quota_whoever_sends(
    requests: int, per: int, rate: float, senders: list[Sender]
) -> None:
    """By the moments at which they are sent, each of which may be late by a second or not."""
    world = World(rate, allowance=Allowance(quotas=(Quota(requests=requests, per=per),)))
    world.add(*senders)
    world.run(90)
    sent = world.sent
    for place, first_s in enumerate(sent):
        later = place + requests
        # The request that is one too many for the window; the first may have been late, and the last one not.
        assert later >= len(sent) or sent[later] - (first_s + LATE_US / MICRO) >= per - 1e-6


def test_who_stays_gets_all_that_the_quota_allows() -> None:
    """A rolling window of 100 requests in 10 s is used, though not the instant at which each one leaves it."""
    world = World(1_000, allowance=Allowance(quotas=(Quota(requests=100, per=10),)))
    world.add(Sender("first", 10_000), Sender("second", 10_000))
    world.run(300)
    assert 100 * 300 / 10 * 0.75 <= len(world.sent) <= 100 * 300 / 10 + 100
