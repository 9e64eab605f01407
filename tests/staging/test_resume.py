from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.directory import GenerationDirectory
from airflow_fanout.staging.journal import JournalWriter, read_records
from airflow_fanout.staging.resume import resume, resume_within
from airflow_fanout.staging.store import Location
from tests.staging.places import generation_at, path_of, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INDEXES = range(30)
KINDS = [kind for kind in Kind if kind is not Kind.NOT_TRIED]
ENDS = st.tuples(st.integers(0, 39), st.sampled_from(KINDS))
# Tries of flushes of records.
TRIES = st.lists(st.lists(st.lists(ENDS, min_size=1, max_size=8), max_size=4), max_size=4)


@pytest.fixture
def generation(tmp_path: Path) -> GenerationDirectory:
    """A generation without a try."""
    return generation_at(tmp_path / "generation-0001")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder for all examples of a property."""
    with TemporaryDirectory() as name:
        yield Path(name)


def write(generation: GenerationDirectory, flushes: Iterable[Iterable[tuple[int, Kind]]]) -> None:
    """Write one try: each flush is a frame of its own."""
    journal = JournalWriter(generation.new_try())
    for flush in flushes:
        for index, kind in flush:
            journal.append(Record.of(index, f"p{index}", Outcome(kind, result="x"), 1, 1.0))
        journal.flush()
    journal.close()


def done(generation: GenerationDirectory) -> set[int]:
    """Return the indexes that need no request any more."""
    finished, _ = resume(generation, INDEXES)
    found = {index for index in INDEXES if index in finished}
    assert finished.count == len(found)
    return found


def good(ends: Iterable[tuple[int, Kind]]) -> set[int]:
    """Return the indexes whose last end was a good one."""
    return {index for index, kind in dict(ends).items() if kind is Kind.OK and index in INDEXES}


@given(TRIES)
def test_the_newest_trys_word_counts(folder: Path, tries: list[list[list[tuple[int, Kind]]]]) -> None:
    """Of all records of all tries, in their order, an index's last one says whether it is done."""
    with TemporaryDirectory(dir=folder) as name:
        generation = generation_at(Path(name))
        for flushes in tries:
            write(generation, flushes)
        assert done(generation) == good(end for flushes in tries for flush in flushes for end in flush)


@given(st.data())
def test_a_damaged_part_counts_whole_or_not_at_all(folder: Path, data: st.DataObject) -> None:
    """Bytes that were changed anywhere put a part aside, or look like its torn end; no record is made of them."""
    flushes = data.draw(st.lists(st.lists(ENDS, min_size=1, max_size=8), min_size=1, max_size=4))
    with TemporaryDirectory(dir=folder) as name:
        generation = generation_at(Path(name))
        write(generation, flushes)
        [part] = map(path_of, generation.parts())
        content = bytearray(part.read_bytes())
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
            content[place] ^= data.draw(st.integers(1, 255))
        part.write_bytes(content)
        finished, damaged = resume(generation, INDEXES)
        found = {index for index in INDEXES if index in finished}
        aside = part.with_name(f"{part.name}.damaged")
        assert ([*map(path_of, damaged)] == [part]) is aside.exists() is not part.exists()
        if damaged:
            assert found == set()
        else:
            frames = [[end for flush in flushes[:whole] for end in flush] for whole in range(len(flushes) + 1)]
            assert found in [good(frame) for frame in frames]
        assert {record.index for record in read_records(generation)} <= {end[0] for flush in flushes for end in flush}


@given(st.data())
def test_a_torn_part_counts_to_its_last_whole_frame(folder: Path, data: st.DataObject) -> None:
    """What a kill cut off is fetched again; what was flushed before it isn't, and nothing is put aside."""
    flushes = data.draw(st.lists(st.lists(ENDS, min_size=1, max_size=8), min_size=1, max_size=4))
    with TemporaryDirectory(dir=folder) as name:
        generation = generation_at(Path(name))
        journal = JournalWriter(generation.new_try())
        sizes = []
        for flush in flushes:
            for index, kind in flush:
                journal.append(Record.of(index, f"p{index}", Outcome(kind), 1, 1.0))
            journal.flush()
            sizes.append(path_of(generation.parts()[0]).stat().st_size)
        journal.close()
        [part] = map(path_of, generation.parts())
        size = data.draw(st.integers(0, sizes[-1]))
        part.write_bytes(part.read_bytes()[:size])
        whole = sum(end <= size for end in sizes)
        assert resume(generation, INDEXES)[1] == []
        assert done(generation) == good(end for flush in flushes[:whole] for end in flush)


def test_only_the_damaged_part_is_lost(generation: GenerationDirectory) -> None:
    """Other tries' parts count as before, and the damaged one is named once."""
    write(generation, [[(0, Kind.OK), (1, Kind.OK)]])
    write(generation, [[(2, Kind.OK), (0, Kind.TIMEOUT)]])
    write(generation, [[(3, Kind.OK)]])
    damaged = generation.parts()[1]
    written(damaged, damaged.content()[:-1] + b"?")
    assert resume(generation, INDEXES)[1] == [damaged]
    assert done(generation) == {0, 1, 3}
    assert resume(generation, INDEXES)[1] == []


@pytest.mark.parametrize("content", [b"", b"?", b"no zstd at all", bytes(100)])
def test_a_part_of_anything_is_no_end(generation: GenerationDirectory, content: bytes) -> None:
    """An empty part, or one of other bytes, takes nobody's records with it and raises nothing."""
    write(generation, [[(0, Kind.OK)]])
    write(generation, [[(1, Kind.OK)]])
    written(generation.parts()[0], content)
    assert done(generation) == {1}


def test_a_shard_counts_its_own(generation: GenerationDirectory) -> None:
    """Records of other indexes, and a generation that was never fetched, are nothing."""
    assert done(generation) == set()
    write(generation, [[(5, Kind.OK), (30, Kind.OK), (10**9, Kind.OK)]])
    assert done(generation) == {5}


def test_a_part_of_another_list_is_put_aside(generation: GenerationDirectory) -> None:
    """Of a journal that was put in the place of another one nothing counts: all of it is fetched."""
    for list_id in ("mine", "another"):
        journal = JournalWriter(generation.new_try(), list_id=list_id)
        journal.append(Record.of(len(list_id), "p", Outcome(Kind.OK, result="x"), 1, 1.0))
        journal.close()
    foreign = generation.parts()[1]
    copied = generation.attempt(1).part(7)
    written(copied, generation.parts()[0].content())
    finished, damaged = resume(generation, INDEXES, "mine")
    assert damaged == [copied, foreign]
    assert [index for index in INDEXES if index in finished] == [len("mine")]
    assert len(generation.parts()) == 1


def test_a_part_that_another_process_has_put_aside_is_passed_over(generation: GenerationDirectory) -> None:
    """Two processes of one try may find the damage at the same time; what comes after it counts."""
    for index in range(3):
        write(generation, [[(index, Kind.OK)]])

    class Earlier(GenerationDirectory):
        """The generation with the listing of a moment ago."""

        listed = generation.parts()

        def parts(self) -> list[Location]:
            return self.listed

    path_of(Earlier.listed[1]).rename(path_of(Earlier.listed[1]).with_name("part-00000.jsonl.zst.damaged"))
    finished, damaged = resume(Earlier(generation.store, generation.key), INDEXES)
    assert [index for index in INDEXES if index in finished] == [0, 2]
    assert damaged == []


def test_what_one_try_has_ended_is_done_whatever_its_outcome(generation: GenerationDirectory) -> None:
    """A process that takes over asks for nothing twice: the kinds of what wasn't done before are yielded once."""
    write(generation, [[(1, Kind.OK)]])
    done_before, _ = resume(generation, INDEXES)
    write(generation, [[(1, Kind.OK), (2, Kind.TIMEOUT)], [(3, Kind.OK), (2, Kind.OK), (99, Kind.OK)]])
    attempt = generation.newest_try()
    assert attempt is not None
    assert list(resume_within(attempt, done_before)) == [Kind.TIMEOUT, Kind.OK]
    assert [index for index in INDEXES if index in done_before] == [1, 2, 3]
    assert list(resume_within(attempt, done_before)) == []
