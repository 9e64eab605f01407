"""The verbs of the staging store, in a folder and as an object storage has them; and a run that goes through each."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_fanout.adapters.border import airflow_errors
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging import layout
from airflow_fanout.staging.claims import claim_target
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.errors import JournalDamaged, SharedTarget
from airflow_fanout.staging.files import create_whole
from airflow_fanout.staging.folder import FolderStore, list_at
from airflow_fanout.staging.frozen import Selection, freeze, read_manifest, read_parameters, verify_list
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.leftovers import Leftovers
from airflow_fanout.staging.live import live
from airflow_fanout.staging.open_failures import OpenFailure, OpenFailures, ReportRun
from airflow_fanout.staging.results import Results, check_fetched
from airflow_fanout.staging.resume import resume
from airflow_fanout.staging.sealed import write_sealed
from airflow_fanout.staging.store import Location, Store, Taken
from airflow_fanout.staging.validated import read_validated, unmark_validated
from tests.load.staged import AS_OF

FAILURES = layout.failures("a")


@pytest.fixture
def place(store: Store) -> Location:
    """A place that may be written to, and holds nothing."""
    store.create(f"{FAILURES}/")
    return Location(store, f"{FAILURES}/b.json")


def test_what_is_put_whole_is_read_whole_and_the_last_one_counts(place: Location) -> None:
    """Also by its first bytes, and by its size."""
    assert (place.is_there(), place.size()) == (False, None)
    place.put_whole(b"first" * 100_000)
    place.put_whole(b"second" * 100_000)
    assert place.content() == b"second" * 100_000
    assert b"".join(place.read(8)) == b"secondse"
    assert (place.is_there(), place.size(), place.store.names(FAILURES)) == (True, 600_000, ["b.json"])


def test_of_several_that_create_one_succeeds(store: Store) -> None:
    """An object has the content of the one that has made it; a claim is as exclusive. What is there stays."""

    def succeeds(content: bytes, key: str) -> bool:
        try:
            store.create(key, content)
        except Taken:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        for key in (f"{FAILURES}/c.json", f"{FAILURES}/claim.json/"):
            contents = [b"%d" % number for number in range(8)] if key.endswith(".json") else [b""] * 8
            made = [*threads.map(succeeds, contents, [key] * 8)]
            assert sum(made) == 1
            if key.endswith(".json"):
                assert Location(store, key).content() == contents[made.index(True)]
    assert sorted(store.names(FAILURES)) == ["c.json", "claim.json"]


def test_what_grows_is_one_writers_and_reads_as_far_as_it_is(place: Location) -> None:
    """Nobody else begins it again; a reader sees what was written so far, or nothing before it is closed."""
    is_folder = isinstance(place.store, FolderStore)
    growing = place.begin(b"head ")
    growing.write(b"one ")
    assert (place.content() if is_folder else place.size()) == (b"head one " if is_folder else None)
    growing.write(b"two")
    growing.close()
    assert (place.content(), place.size()) == (b"head one two", 12)
    with pytest.raises(FileExistsError):
        place.begin()


def test_of_two_that_grow_under_one_key_one_is_closed(store: Store) -> None:
    """In a folder the second one can't begin; in an object storage it can't end."""
    place = Location(store, "a/r/c/list-0001/left-out.jsonl.zst")
    store.create("a/r/c/list-0001/")
    first = place.begin(b"first")
    if isinstance(store, FolderStore):
        with pytest.raises(FileExistsError):
            place.begin(b"second")
        first.close()
        assert place.content() == b"first"
    else:
        place.begin(b"second").close()
        with pytest.raises(FileExistsError):
            first.close()
        assert place.content() == b"second"


def test_several_append_and_nothing_is_lost(store: Store) -> None:
    """An object that isn't there is made; it can be put whole afterwards."""
    place = Location(store, layout.history("a/run/calls/list-0001"))
    with ThreadPoolExecutor(8) as threads:
        for number in range(50):
            threads.submit(place.append, b"%d\n" % number)
    assert sorted(map(int, place.content().split())) == list(range(50))
    place.put_whole(b"x")
    place.append(b"y")
    assert place.content() == b"xy"


def test_of_several_that_delete_or_move_one_succeeds(place: Location) -> None:
    """What isn't there can't be read, deleted or moved, each an error that names it."""
    other = f"{FAILURES}/c.json"
    for verb in (place.delete, lambda: place.store.move(place.key, other)):
        place.put_whole(b"1")
        verb()
        for gone in (place.content, place.delete, lambda: place.store.move(place.key, other)):
            with pytest.raises(FileNotFoundError) as caught:
                gone()
            assert caught.value.filename == str(place)
    assert (Location(place.store, other).content(), place.store.names(FAILURES)) == (b"1", ["c.json"])


def test_sizes_of_what_isnt_there_are_left_out(place: Location) -> None:
    """And below a key that isn't there is nothing."""
    place.put_whole(b"12345")
    assert place.store.sizes([place.key, "a/other", "b/c"]) == {place.key: 5}
    assert place.store.names("b") == []


def frozen(store: Store, run_id: str = "monday") -> ListDirectory:
    """Freeze a list of ten parameters in two shards."""
    directory = ReportDirectory.of(store, dag_id="report", run_id=run_id, report="calls").new_list()
    freeze(
        map(str, range(10)),
        directory,
        as_of=AsOf(moment=AS_OF, day="2026-11-22", source="logical_date"),
        names=(),
        duplicates="drop",
        selection=Selection(),
        shards=2,
    )
    return directory


def fetched(directory: ListDirectory, list_id: str, shard: int, indexes: range) -> None:
    """Write a try of a shard, in two parts."""
    journal = JournalWriter(directory.shard(shard).generation(1).new_try(), list_id=list_id)
    for index in indexes:
        journal.append(Record.of(index, str(index), Outcome(Kind.OK, result=index), 1, 1.0))
        journal.flush()
        if index == indexes[1]:
            journal.close()
    journal.close()


def test_a_run_goes_its_whole_way_through_any_store(store: Store) -> None:
    """Frozen, fetched in two tries, judged, remembered and cleaned: nothing of it asks for more than the verbs."""
    directory = frozen(store)
    manifest = read_manifest(directory)
    verify_list(directory, manifest)
    assert [value for _, value in read_parameters(directory, range(10))] == [*map(str, range(10))]
    assert [report.step for report in live(store, "report", "monday")] == ["fetch"]

    fetched(directory, manifest.id, 0, range(3))
    generation = directory.shard(0).generation(1)
    done, damaged = resume(generation, manifest.range_of(0), manifest.id)
    assert ([index for index in range(5) if index in done], damaged) == ([0, 1, 2], [])
    fetched(directory, manifest.id, 0, range(3, 5))
    fetched(directory, manifest.id, 1, range(5, 10))
    for shard in range(2):
        directory.shard(shard).generation(1).mark_complete({})
    check_fetched(directory, manifest)
    results = Results(directory, manifest)
    assert [record.index for record in results.records()] == list(range(10))
    write_sealed(directory.validated, results.validated({Kind.OK: 10}))
    judged = read_validated(directory, manifest.id)
    assert len(list(Results(directory, manifest, judged).records())) == 10
    assert [report.step for report in live(store, "report", "monday")] == ["load"]
    unmark_validated(directory)
    unmark_validated(directory)
    assert read_validated(directory, manifest.id) is None


def test_what_outlives_a_run_is_outside_of_it_in_any_store(store: Store) -> None:
    """Claims go with the run, and the history stays."""
    directory = frozen(store)
    claim_target(directory, task_id="load", map_index=0, mode="swap", target="m/d.c")
    claim_target(directory, task_id="load", map_index=0, mode="swap", target="m/d.c")
    with pytest.raises(SharedTarget):
        claim_target(directory, task_id="load", map_index=1, mode="swap", target="m/d.c")
    history = History(directory.history)
    history.add(GoodRun(as_of="2026", parameters=10, rows=10, null_share=0.0))
    assert len(history.before("2027")) == 1

    left = Leftovers()
    [run] = store.runs(left)
    assert ((run.dag_id, run.run_id), left) == (("report", "monday"), [])
    assert run.remove() > 0
    assert (list(store.runs(left)), len(history.before("2027"))) == ([], 1)


def test_a_damaged_part_is_put_aside_in_any_store(store: Store) -> None:
    """Its records are fetched again, and it stays for whoever wants to know."""
    directory = frozen(store)
    fetched(directory, "id", 0, range(5))
    generation = directory.shard(0).generation(1)
    first, second = generation.parts()
    first.put_whole(first.content()[:-3] + b"???")
    with pytest.raises(JournalDamaged):
        list(Results(directory, read_manifest(directory)).records())
    done, damaged = resume(generation, range(5))
    assert ([index for index in range(5) if index in done], damaged) == ([2, 3, 4], [first])
    assert generation.parts() == [second]
    assert Location(store, f"{first.key}{layout.DAMAGED}").is_there()


def test_a_failure_is_remembered_once_and_ended_once_in_any_store(store: Store) -> None:
    """The first one of a run stays."""
    failures = OpenFailures.of(store, "report")
    first = OpenFailure(run_id="monday", as_of=AS_OF, made_by="manual", since=AS_OF)
    failures.add(first)
    failures.add(OpenFailure(run_id="monday", as_of=AS_OF, made_by="manual", since=AS_OF.replace(year=2027)))
    run = ReportRun(run_id="monday", as_of=AS_OF, made_by="manual", started=AS_OF)
    assert (failures.end(run), failures.end(run)) == ([first], [])


def test_a_file_system_without_links_still_creates_only_what_isnt_there(tmp_path: Path) -> None:
    """The file is whole, the first one stays, and nothing of the writing is left."""

    def without(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    create_whole(tmp_path / "file", b"first", without)
    with pytest.raises(FileExistsError):
        create_whole(tmp_path / "file", b"second", without)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"first")]


@pytest.mark.parametrize("verb", [lambda at: at.put_whole(b"1"), lambda at: at.append(b"1"), lambda at: at.begin()])
def test_an_error_of_a_folder_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Callable[[Location], object]
) -> None:
    """So a task can say what is wrong with which file."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Exception, match=str(tmp_path / "file")), airflow_errors():
        verb(Location(FolderStore(tmp_path), "file/a.json"))


def test_a_list_is_found_again_by_its_address(tmp_path: Path) -> None:
    """Its address is all that the next task gets; what is made for it then has the list's mode."""
    directory = ReportDirectory.of(FolderStore(tmp_path, 0o750), dag_id="d", run_id="r", report="c").new_list()
    again = list_at(str(directory))
    assert (str(again), again.key, str(again.history)) == (str(directory), directory.key, str(directory.history))
    attempt = Path(str(again.shard(0).generation(1).new_try()))
    assert attempt.stat().st_mode & 0o777 == 0o750
    assert [str(list_at(odd)) for odd in ("x", "/", "/x")] == ["x", "/", "/x"]
