from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.control.frames import SlotRange
from airflow_fanout.launch.messages import BudgetUse, ReservedSlots
from airflow_fanout.launch.slot_shares import shared_out

uses = st.dictionaries(
    st.integers(0, 9),
    st.builds(BudgetUse, st.just(0), st.just(0), st.integers(0, 20), st.integers(0, 200), st.integers(0, 10)),
    min_size=1,
)


def whole(count: int = 20, at_once: int | None = None) -> ReservedSlots:
    """Return what all engines have together."""
    slots = SlotRange(begin_us=0, length_us=1_000, of=100, first=10, count=count)
    return ReservedSlots((slots,), 100.0, 200.0, at_once)


@given(uses, st.integers(0, 100))
def test_each_slot_belongs_to_one_engine_that_needs_it(uses: dict[int, BudgetUse], turn: int) -> None:
    """All are given away, unless nobody needs any."""
    parts = shared_out(whole(), uses, turn)

    moments = [moment for part in parts.values() for slots in part.slots for moment in slots.moments()]
    assert set(parts) == set(uses)
    needy = [place for place, use in uses.items() if use.needs > use.held]
    assert sorted(moments) == (sorted(whole().slots[0].moments()) if needy else [])
    assert all(place in needy for place, part in parts.items() if part.slots)


@given(uses, st.integers(0, 100), st.integers(0, 30))
def test_engines_never_have_more_requests_at_once_than_the_fetch(
    uses: dict[int, BudgetUse], turn: int, limit: int
) -> None:
    """What one has under way is nobody else's, whatever it is to have."""
    parts = shared_out(whole(at_once=limit), uses, turn)

    has = {place: max(uses[place].has_at_once, part.at_once or 0) for place, part in parts.items()}
    assert sum(has.values()) <= max(limit, sum(use.has_at_once for use in uses.values()))


def test_a_single_slot_goes_to_each_engine_in_turn() -> None:
    """At a low rate, no engine waits for ever."""
    three = {place: BudgetUse(0, 0, 0, 10, 1) for place in range(3)}

    winners = [
        next(place for place, part in shared_out(whole(count=1), three, turn).items() if part.slots)
        for turn in range(3)
    ]

    assert sorted(winners) == [0, 1, 2]
