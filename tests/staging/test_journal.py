from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest

from airflow_fanout.model.outcome import Kind, Outcome, Record, RecordKey
from airflow_fanout.staging.directory import GenerationDirectory
from airflow_fanout.staging.errors import ForeignPart, JournalDamaged, NotAsValidated, StagingChanged
from airflow_fanout.staging.journal import (
    PART_AGE_S,
    PART_BYTES,
    JournalWriter,
    Piece,
    Snapshot,
    read_places,
    read_records,
)
from airflow_fanout.staging.lines import LinesWriter
from tests.staging.places import generation_at, path_of, place


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def record(index: int, result: object = "done") -> Record:
    """Return a good record."""
    return Record.of(index, f"parameter {index}", Outcome(Kind.OK, result=result), 1, 1.5)


@pytest.fixture
def generation(tmp_path: Path) -> GenerationDirectory:
    """A generation without a try."""
    return generation_at(tmp_path / "generation-0001")


def write(generation: GenerationDirectory, indexes: range, result: object = "done") -> None:
    """Write a whole try."""
    writer = JournalWriter(generation.new_try())
    for index in indexes:
        writer.append(record(index, result))
    writer.close()


def test_records_come_back_in_order(generation: GenerationDirectory) -> None:
    """What one try has written is read as it was."""
    write(generation, range(5))
    assert list(read_records(generation)) == [record(index) for index in range(5)]


def test_a_snapshots_places_end_where_its_records_end(generation: GenerationDirectory) -> None:
    """What a task that was given up appends later is no part of a snapshot, whichever way it is read."""
    writer = JournalWriter(generation.new_try())
    writer.append(record(0))
    writer.flush()
    snapshot = Snapshot(generation)
    writer.append(record(1))
    writer.close()
    assert [place.index for place in snapshot.places()] == [found.index for found in snapshot] == [0]


def test_a_generation_without_a_try_has_no_records(generation: GenerationDirectory) -> None:
    """Before the first fetch there is nothing, and that is no error."""
    assert list(read_records(generation)) == []


def test_a_try_that_wrote_nothing_leaves_no_file(generation: GenerationDirectory) -> None:
    """Closing and flushing a journal without records makes no empty part."""
    writer = JournalWriter(generation.new_try())
    writer.flush()
    writer.close()
    writer.close()
    assert generation.parts() == []


def test_a_newer_try_comes_after_an_older_one(generation: GenerationDirectory) -> None:
    """Whichever was written last, the newer try's records are read last, so that they count."""
    old, new = JournalWriter(generation.new_try()), JournalWriter(generation.new_try())
    new.append(record(1, "new"))
    new.close()
    old.append(record(1, "old"))
    old.close()
    assert [found.result for found in read_records(generation)] == ["old", "new"]


def test_flushed_records_can_be_read_before_the_part_is_closed(generation: GenerationDirectory) -> None:
    """What was flushed is there for whoever comes after a kill; what was not, isn't."""
    writer = JournalWriter(generation.new_try())
    writer.append(record(0))
    writer.flush()
    writer.append(record(1))
    assert [found.index for found in read_records(generation)] == [0]
    writer.close()
    assert [found.index for found in read_records(generation)] == [0, 1]


def test_an_old_part_is_closed(generation: GenerationDirectory) -> None:
    """A part that is a minute old is closed with the next flush, and the next record begins another."""
    clock = Clock()
    writer = JournalWriter(generation.new_try(), clock=clock)
    writer.append(record(0))
    writer.flush()
    clock.now += PART_AGE_S - 0.1
    writer.flush()
    writer.append(record(1))
    assert len(generation.parts()) == 1
    clock.now += 0.1
    writer.flush()
    writer.append(record(2))
    writer.close()
    assert [path_of(part).name for part in generation.parts()] == ["part-00000.jsonl.zst", "part-00001.jsonl.zst"]
    assert [found.index for found in read_records(generation)] == [0, 1, 2]


def test_a_large_part_is_closed(generation: GenerationDirectory) -> None:
    """A part is closed once it has its size on the disk, so that a kill leaves little that isn't durable."""
    writer = JournalWriter(generation.new_try(), clock=Clock())
    eighth = [os.urandom(PART_BYTES // 8).hex() for _ in range(9)]
    for index, text in enumerate(eighth):
        writer.append(record(index, text))
        writer.flush()
    writer.close()
    assert len(generation.parts()) == 2
    assert PART_BYTES <= (generation.parts()[0].size() or 0) < PART_BYTES * 1.3
    assert [found.index for found in read_records(generation)] == list(range(9))


def test_a_snapshot_reads_the_same_each_time(generation: GenerationDirectory) -> None:
    """A try that Airflow has given up may still write: who counts twice counts the same."""
    zombie, newer = JournalWriter(generation.new_try()), JournalWriter(generation.new_try())
    for index in range(3):
        zombie.append(record(index, "old"))
    zombie.flush()
    newer.append(record(3, "new"))
    newer.close()
    snapshot = Snapshot(generation)
    first = list(snapshot)
    zombie.append(record(4, "late"))
    zombie.close()
    zombie.append(record(5, "later"))
    zombie.close()
    assert list(snapshot) == first
    assert [found.index for found in first] == [0, 1, 2, 3]
    assert [found.index for found in Snapshot(generation)] == [0, 1, 2, 4, 5, 3]


def test_places_are_those_of_the_records(generation: GenerationDirectory) -> None:
    """What each record is about can be read alone, in the same order and as of the same moment."""
    write(generation, range(3))
    snapshot = Snapshot(generation)
    write(generation, range(1, 5), "newer")
    assert list(snapshot.places()) == [RecordKey(index, Kind.OK) for index in range(3)]
    assert [place.index for place in Snapshot(generation).places()] == [0, 1, 2, 1, 2, 3, 4]


def test_what_waits_is_counted_until_it_is_taken(generation: GenerationDirectory) -> None:
    """Whoever takes the lines has all of them, and nothing waits any more."""
    writer = JournalWriter(generation.new_try())
    assert writer.waiting == 0
    writer.extend([record(0), record(1)])
    writer.append(record(2))
    waited = writer.waiting
    lines = writer.take()
    assert (lines.count(b"\n"), len(lines), writer.waiting, writer.take()) == (3, waited, 0, b"")


def test_a_writer_numbers_its_parts_as_it_is_asked_to(generation: GenerationDirectory) -> None:
    """Where several processes write one try, no part has another's name."""
    writer = JournalWriter(generation.new_try(), count(7, 3))
    for index in range(2):
        writer.append(record(index))
        writer.close()
    assert [path_of(part).name for part in generation.parts()] == ["part-00007.jsonl.zst", "part-00010.jsonl.zst"]


def test_a_part_has_at_least_eight_mebibytes_or_is_a_minute_old() -> None:
    """What a dead machine can lose is bounded by these."""
    assert (PART_BYTES, PART_AGE_S) == (8 * 1024 * 1024, 60.0)


def test_a_part_that_is_shorter_than_it_was_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """One that has grown is fine, since only its first bytes are read; one that is gone is told as such."""
    (part := tmp_path / "part").write_bytes(b"0123456789" * 100)
    for size in (999, 1000):
        Piece(place(part), size).check_size()
    with pytest.raises(NotAsValidated, match="has 1,000 bytes, and validate has judged 1,001"):
        Piece(place(part), 1001).check_size()
    with pytest.raises(NotAsValidated, match="isn't there any more"):
        Piece(place(tmp_path / "gone"), 1).check_size()


@pytest.mark.parametrize("read", ["0a", "0c"])
@pytest.mark.parametrize(("options", "error"), [({"is_judged": True}, NotAsValidated), ({}, StagingChanged)])
def test_other_bytes_than_before_are_refused(
    tmp_path: Path, read: str, options: dict[str, bool], error: type[Exception]
) -> None:
    """The first reading says what the others must be, unless validate has said it."""
    piece = Piece(place(tmp_path / "part"), 1, **options)
    for _ in range(2):
        # Each time a text of its own.
        piece.confirm(b"0b".decode())
    with pytest.raises(error) as caught:
        piece.confirm(read)
    assert type(caught.value) is error


def test_a_journal_of_another_list_is_refused(generation: GenerationDirectory) -> None:
    """Where a list is named, each part must belong to it; where none is, or the pieces are given, they are read."""
    writer = JournalWriter(generation.new_try(), list_id="mine")
    writer.append(record(0))
    writer.close()
    [part] = generation.parts()
    assert [found.index for found in Snapshot(generation, "mine")] == [0]
    assert [place.index for place in read_places(part)] == [place.index for place in read_places(part, "mine")] == [0]
    assert list(Snapshot(generation, "mine", [])) == []
    with pytest.raises(ForeignPart):
        Snapshot(generation, "another")
    with pytest.raises(ForeignPart):
        list(read_places(part, "another"))


def test_a_line_that_is_no_record_is_damage(generation: GenerationDirectory) -> None:
    """What another program has written into the journal is told with the part's name."""
    part = generation.new_try().part(0)
    with LinesWriter(part) as lines:
        lines.append({"index": 0, "kind": "ok"})
        lines.append({"index": 1})
    with pytest.raises(JournalDamaged) as records:
        list(read_records(generation))
    with pytest.raises(JournalDamaged) as places:
        list(Snapshot(generation).places())
    assert records.value.part == places.value.part == str(part)
