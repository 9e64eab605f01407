from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.control.frames import MICRO, Frame, SlotRange, frames_until

rates = st.integers(1_000, 100_000 * MICRO)


@given(rates, st.integers(0, 20 * MICRO), st.integers(0, 5 * MICRO))
def test_frames_follow_each_other_with_no_more_slots_than_the_rate(rate: int, until_us: int, length_us: int) -> None:
    """The last one reaches the moment that is asked for."""
    frames = list(frames_until(until_us, 0, rate, length_us))

    assert all(frame.slots * MICRO**2 <= frame.length_us * rate for frame in frames)
    assert all(earlier.end_us == later.begin_us for earlier, later in pairwise(frames))
    assert not frames if not until_us else frames[-1].begin_us < until_us <= frames[-1].end_us


@given(st.integers(1, 2_000), st.lists(st.integers(1, 100)))
def test_every_slot_is_taken_once(slots: int, counts: list[int]) -> None:
    """Whoever takes how many: all moments are different, and as far apart as the frame says."""
    frame, moments = Frame(begin_us=7, length_us=slots * 1_000, slots=slots), []
    for count in [*counts, slots]:
        frame, taken = frame.take(min(count, frame.left))
        moments += taken.moments()

    assert sorted(moments) == [7 + 1_000 * place for place in range(slots)]


@given(st.integers(8, 1_000), st.data())
def test_any_run_of_slots_is_spread_over_its_frame(slots: int, data: st.DataObject) -> None:
    """No gap is longer than three times the even one, so that nobody has to send all at once."""
    count = data.draw(st.integers(2, slots))
    first = data.draw(st.integers(0, slots - count))
    taken = SlotRange(begin_us=0, length_us=slots, of=slots, first=first, count=count)

    places = sorted(taken.moments())
    gaps = [later - earlier for earlier, later in zip(places, [*places[1:], places[0] + slots], strict=True)]

    assert max(gaps) <= 3 * slots / count + 1


@given(st.integers(0, 100), st.lists(st.integers(0, 50), min_size=1, max_size=5).filter(any))
def test_parts_of_a_range_are_all_of_it(count: int, shares: list[int]) -> None:
    """Each engine gets its part, in the ratio of the shares."""
    whole = SlotRange(begin_us=0, length_us=1_000, of=200, first=50, count=count)

    parts = whole.parts(shares)

    assert sorted(moment for part in parts for moment in part.moments()) == sorted(whole.moments())
    assert all(abs(part.count - count * share / sum(shares)) < 1 for part, share in zip(parts, shares, strict=True))
