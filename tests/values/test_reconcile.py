from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.reconcile import CompletedSet, LatestRecords

INDEXES = st.integers(0, 30)
RANGES = st.tuples(INDEXES, INDEXES).map(lambda ends: range(min(ends), max(ends)))
RECORDS = st.lists(st.tuples(INDEXES, st.sampled_from(Kind)), max_size=60).map(
    lambda found: [Record.of(index, "x", Outcome(kind), place + 1, 1.0) for place, (index, kind) in enumerate(found)]
)


@given(RECORDS, RANGES)
def test_every_parameter_has_exactly_one_outcome(records: list[Record], indexes: range) -> None:
    """Whatever the journal holds, what counts and what is missing make up the range, each index once."""
    chosen = LatestRecords(records, indexes)
    ended = [record.index for record in chosen.of(records)]
    assert sorted([*ended, *chosen.missing()]) == list(indexes)


@given(RECORDS, RANGES)
def test_the_last_record_counts(records: list[Record], indexes: range) -> None:
    """Of several records of an index, that of the newest try is the outcome."""
    last = {record.index: record for record in records if record.index in indexes}
    found = list(LatestRecords(records, indexes).of(records))
    assert {record.index: record for record in found} == last
    assert found == [record for record in records if record in last.values()]


@given(st.lists(st.tuples(INDEXES, st.booleans()), max_size=60), RANGES)
def test_the_last_word_says_what_is_done(noted: list[tuple[int, bool]], indexes: range) -> None:
    """An index is done exactly if what was noted of it last is good; the number of these is kept."""
    finished = CompletedSet(indexes)
    for index, good in noted:
        finished.set(index, good=good)
    last = dict(noted)
    done = [index for index in indexes if last.get(index)]
    assert [index for index in range(40) if index in finished] == done
    assert finished.count == len(done)


def test_a_range_that_does_not_begin_at_nothing() -> None:
    """The second shard's bits and records are its own: neighbours' indexes don't touch them."""
    finished = CompletedSet(range(100, 116))
    for index in (99, 100, 107, 115, 116):
        finished.set(index, good=True)
    assert [index for index in range(100, 116) if index in finished] == [100, 107, 115]
    assert finished.count == 3


def test_an_index_outside_of_the_range_is_not_done() -> None:
    """Asking for another shard's index gives no, not that of some bit nearby."""
    finished = CompletedSet(range(8, 16))
    for index in range(8, 16):
        finished.set(index, good=True)
    assert [index for index in range(32) if index in finished] == list(range(8, 16))


def test_a_million_parameters_take_little_memory() -> None:
    """What is done is a bit, and which record counts is four bytes, for each parameter."""
    assert len(CompletedSet(range(1_000_000))._bits) <= 125_001
    assert len(memoryview(LatestRecords([], range(1_000_000))._ordinals).tobytes()) == 4_000_000


def test_what_is_done_for_the_first_time_is_new() -> None:
    """An index is new once; one outside of the range never is, and isn't counted."""
    finished = CompletedSet(range(10, 1010))
    finished.set(12, good=True)
    assert [finished.add(index) for index in (9, 10, 10, 12, 1009, 1010)] == [False, True, False, False, True, False]
    assert finished.count == 3
    assert [finished.add(index) for index in range(10, 1010)].count(True) == 997
    assert finished.count == 1000
    assert all(index in finished for index in range(10, 1010))
