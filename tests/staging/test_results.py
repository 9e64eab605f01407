from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.directory import GenerationDirectory, ListDirectory
from airflow_fanout.staging.errors import StagingChanged
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import Manifest, Selection, freeze, read_manifest
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.results import Results
from tests.staging.places import path_of, report_at, written


def frozen(folder: Path, count: int, shards: int = 1) -> tuple[ListDirectory, Manifest]:
    """Freeze a list of so many parameters."""
    directory = report_at(folder).new_list()
    manifest = freeze(
        (f"p{index}" for index in range(count)),
        directory,
        as_of=AsOf(moment=datetime(2026, 11, 22, tzinfo=UTC), day="2026-11-22", source="logical_date"),
        names=(),
        duplicates="drop",
        selection=Selection(),
        shards=shards,
    )
    return directory, manifest


def id_of(generation: GenerationDirectory) -> str:
    """Return the id of the list that a generation belongs to."""
    return read_manifest(list_at(str(path_of(generation).parents[2]))).id


def write(generation: GenerationDirectory, *outcomes: tuple[int, Kind], result: str = "x") -> JournalWriter:
    """Write a try; the writer that is returned has nothing open."""
    writer = JournalWriter(generation.new_try(), list_id=id_of(generation))
    for index, kind in outcomes:
        outcome = Outcome(kind, result=result if kind is Kind.OK else None)
        writer.append(Record.of(index, f"p{index}", outcome, 1, 1.0))
    writer.close()
    return writer


def kinds(results: Results) -> dict[int, Kind]:
    """Return the kind of outcome of each parameter that has one; a second one of the same would be an error."""
    found: dict[int, Kind] = {}
    for record in results.records():
        assert record.index not in found
        found[record.index] = record.kind
    return found


TRIES = st.lists(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from([Kind.OK, Kind.NULL])), max_size=12), max_size=4
)


@given(st.integers(0, 10), st.integers(1, 4), st.lists(TRIES, min_size=4, max_size=4))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_parameter_is_either_there_or_missing(
    tmp_path: Path, count: int, shards: int, tries: list[list[list[tuple[int, Kind]]]]
) -> None:
    """Whatever tries have written, in whichever shard, each parameter is counted exactly once."""
    directory, manifest = frozen(tmp_path, count, shards)
    for shard in range(manifest.shards):
        for outcomes in tries[shard]:
            write(directory.shard(shard).generation(1), *outcomes)
    results = Results(directory, manifest)
    assert sorted([*kinds(results), *results.missing()]) == list(range(count))


def test_the_newest_try_decides(tmp_path: Path) -> None:
    """A second try's outcome takes the place of the first one's, for what it has tried."""
    directory, manifest = frozen(tmp_path, 4)
    generation = directory.shard(0).generation(1)
    write(generation, (2, Kind.OK), (0, Kind.TIMEOUT), (1, Kind.ERROR))
    write(generation, (1, Kind.ERROR), (0, Kind.OK))
    results = Results(directory, manifest)
    assert kinds(results) == {0: Kind.OK, 1: Kind.ERROR, 2: Kind.OK}
    assert list(results.missing()) == [3]


def test_a_shards_records_are_its_own(tmp_path: Path) -> None:
    """Records of an index outside of the shard's range don't count, wherever they come from."""
    directory, manifest = frozen(tmp_path, 4, shards=2)
    write(directory.shard(0).generation(1), (0, Kind.OK), (3, Kind.ERROR))
    write(directory.shard(1).generation(1), (3, Kind.OK), (0, Kind.ERROR))
    results = Results(directory, manifest)
    assert kinds(results) == {0: Kind.OK, 3: Kind.OK}
    assert list(results.missing()) == [1, 2]


def test_a_generation_counts_once_it_is_whole(tmp_path: Path) -> None:
    """Fetching anew doesn't take away what was there before it has come to its end."""
    directory, manifest = frozen(tmp_path, 2)
    shard = directory.shard(0)
    write(shard.generation(1), (0, Kind.OK), (1, Kind.OK), result="first")
    shard.generation(1).mark_complete({})
    write(shard.generation(2), (0, Kind.OK), result="second")
    before = Results(directory, manifest)
    assert before.generations == {"0": 1}
    assert {record.result for record in before.records()} == {"first"}
    shard.generation(2).mark_complete({})
    after = Results(directory, manifest)
    assert after.generations == {"0": 2}
    assert (kinds(after), list(after.missing())) == ({0: Kind.OK}, [1])


def test_a_list_that_was_never_fetched_is_all_missing(tmp_path: Path) -> None:
    """No journal is no error here: every parameter was not tried."""
    results = Results(*frozen(tmp_path, 3))
    assert results.generations == {"0": 0}
    assert (kinds(results), list(results.missing())) == ({}, [0, 1, 2])


@pytest.mark.parametrize("closed", [True, False])
def test_who_still_writes_makes_nobody_lose_a_result(tmp_path: Path, closed: bool) -> None:
    """A try that Airflow has given up writes on while the newer one's results are read: each still counts once."""
    directory, manifest = frozen(tmp_path, 4)
    generation = directory.shard(0).generation(1)
    zombie = JournalWriter(generation.new_try(), list_id=manifest.id)
    zombie.append(Record.of(0, "p0", Outcome(Kind.OK, result="old"), 1, 1.0))
    zombie.flush()
    if closed:
        zombie.close()
    write(generation, (1, Kind.OK), (2, Kind.OK), (3, Kind.OK))
    results = Results(directory, manifest)
    for index in range(4):
        zombie.append(Record.of(index, f"p{index}", Outcome(Kind.ERROR), 1, 1.0))
    zombie.close()
    assert kinds(results) == dict.fromkeys(range(4), Kind.OK)
    assert list(results.missing()) == []


def test_results_that_change_while_they_are_judged_are_refused(tmp_path: Path) -> None:
    """A check that reads them once more gets the same ones, or the validation fails; also if some have vanished."""
    directory, manifest = frozen(tmp_path, 3)
    generation = directory.shard(0).generation(1)
    write(generation, (0, Kind.OK), (1, Kind.OK), (2, Kind.OK))
    results = Results(directory, manifest)
    assert kinds(results) == dict.fromkeys(range(3), Kind.OK)
    (part,) = generation.parts()
    before = part.content()
    part.delete()
    write_again = JournalWriter(generation.attempt(1), list_id=manifest.id)
    for index in range(3):
        write_again.append(Record.of(index, f"p{index}", Outcome(Kind.OK, result="y"), 1, 1.0))
    write_again.close()
    with pytest.raises(StagingChanged, match="was changed while it was read"):
        kinds(results)
    written(part, before[: len(before) // 2])
    with pytest.raises(StagingChanged, match="was changed while it was read"):
        kinds(results)
