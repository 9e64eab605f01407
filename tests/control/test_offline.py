from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.control.budget_state import Limits, Reservation
from airflow_fanout.control.frames import MICRO, SlotRange
from airflow_fanout.control.offline import OfflineSlots
from airflow_fanout.control.questions import AHEAD_US


def reservation(clients: int, offline_per_s: float, lease_us: int = 2 * MICRO, from_us: int = 0) -> Reservation:
    """Return the last answer that a client had."""
    return Reservation(
        now_us=0,
        asks_us=lease_us,
        from_us=from_us,
        paused_until_us=0,
        share_micro=0,
        at_once=None,
        limits=Limits(rate_micro=100 * MICRO, offline_micro=round(offline_per_s * MICRO)),
        clients=clients,
        lease_us=lease_us + AHEAD_US,
    )


def moments(slots: tuple[SlotRange, ...]) -> list[int]:
    """Return when a client may send."""
    return sorted(moment for each in slots for moment in each.moments())


@given(st.integers(1, 50), st.floats(0.1, 100), st.data())
def test_all_clients_together_send_no_more_than_the_rate(clients: int, per_s: float, data: st.DataObject) -> None:
    """In no window of five seconds, whenever each of them notices that MongoDB is away."""
    sent: list[int] = []
    for _ in range(clients):
        share = data.draw(st.floats(0, 1))
        offline = OfflineSlots(lambda low, high, share=share: low + (high - low) * share)
        offline.end(0, 0, reservation(clients, per_s))
        begin_us = data.draw(st.integers(0, 2 * MICRO))
        for step in range(6):
            now_us = begin_us + step * 3 * MICRO
            sent += moments(offline.slots(now_us, now_us + 3 * MICRO))

    sent.sort()
    windows = [sum(first <= moment < first + 5 * MICRO for moment in sent) for first in sent[:: max(1, clients // 2)]]
    # Each client's slots are evenly spaced: one more of each at most is in a window.
    assert max(windows, default=0) <= 5 * per_s + clients


def test_nothing_is_sent_before_all_slots_of_others_are_over() -> None:
    """Who asked last, just before MongoDB went away, has slots for a lease and what goes with it."""
    offline = OfflineSlots(lambda low, _high: low)
    offline.end(0, 0, reservation(4, 100, lease_us=2 * MICRO))

    slots = moments(offline.slots(10 * MICRO, 20 * MICRO))

    assert slots[0] >= 10 * MICRO + 2_500_000


def test_slots_go_on_without_a_gap_until_those_of_the_state_begin() -> None:
    """And not beyond."""
    offline = OfflineSlots(lambda low, _high: low)
    offline.end(0, 0, reservation(4, 40))
    slots = moments(offline.slots(10 * MICRO, 15 * MICRO))
    slots += moments(offline.slots(13 * MICRO, 18 * MICRO))
    slots += moments(offline.end(17 * MICRO, 20 * MICRO, reservation(4, 40)))

    gaps = {later - earlier for earlier, later in itertools.pairwise(slots)}
    assert gaps == {100_000}
    assert 19_800_000 < slots[-1] < 20 * MICRO
    assert not offline.is_on


def test_who_knows_nothing_of_the_others_waits() -> None:
    """A fetch that starts while MongoDB is away, and one whose budget allows nothing offline."""
    unknown, none = OfflineSlots(), OfflineSlots()
    none.end(0, 0, reservation(4, 0))

    assert unknown.slots(0, 10 * MICRO) == none.slots(0, 10 * MICRO) == ()
    assert unknown.is_on
