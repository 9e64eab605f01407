"""What is staged of a parameter, or of a run that keeps nothing, goes from every kind of store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.erasure import Erased, erase, wanted
from airflow_fanout.staging.frozen import Manifest, Selection, freeze, read_manifest, read_parameters, verify_list
from airflow_fanout.staging.jobs import JobJournal, read_jobs
from airflow_fanout.staging.journal import JournalWriter
from airflow_fanout.staging.left_out import LeftOut, LeftOuts, left_out_parameters, write_left_out
from airflow_fanout.staging.live import live
from airflow_fanout.staging.loaded import Loaded, keep_only, read_loaded
from airflow_fanout.staging.results import Results, check_fetched
from airflow_fanout.staging.resume import resume
from airflow_fanout.staging.sealed import write_sealed
from airflow_fanout.staging.store import Location, Store
from airflow_fanout.staging.validated import read_validated

IDS = [f"p{number}" for number in range(6)]
DATE = AsOf(moment=datetime(2026, 11, 22, tzinfo=UTC), day="2026-11-22", source="run_after")


def fetched(store: Store) -> tuple[ListDirectory, Manifest]:
    """Stage a run in three shards: each has two tries, with results and jobs; validate has passed it."""
    directory = ReportDirectory.of(store, dag_id="calls", run_id="monday", report="report").new_list()
    how = {"names": (), "duplicates": "drop", "selection": Selection(), "shards": 3}
    manifest = freeze(IDS, directory, as_of=DATE, **how)  # type: ignore[arg-type]
    for shard in range(3):
        generation = directory.shard(shard).generation(1)
        for kind in (Kind.TIMEOUT, Kind.OK):
            attempt = generation.new_try()
            jobs = JobJournal(attempt, iter([0]), list_id=manifest.id, known={}, is_newest=lambda: True)
            writer = JournalWriter(attempt, list_id=manifest.id)
            for index in manifest.range_of(shard):
                jobs.intend(index)
                jobs.created(index, f"job of {IDS[index]}")
                writer.append(Record.of(index, IDS[index], Outcome(kind, result={"of": IDS[index]}), 1, 1.0))
            writer.close()
            jobs.close()
        generation.mark_complete({"ok": 2})
    judge(directory, manifest)
    return directory, manifest


def judge(directory: ListDirectory, manifest: Manifest) -> None:
    """Pass what is there, as validate would."""
    results = Results(directory, manifest)
    write_sealed(directory.validated, results.validated({Kind.OK: sum(1 for _ in results.records())}))


def erased(store: Store, parameter: str = "p3") -> Erased:
    """Erase a parameter."""
    return erase(store, wanted([parameter]), lambda *_: False)


def test_a_list_goes_on_without_it(store: Store) -> None:
    """Its id, all other results and jobs stay; what was judged is what is there, and nothing counts as lost."""
    directory, manifest = fetched(store)
    assert erased(store) == Erased(lists=1, parameters=1, files=4)
    known = read_manifest(directory)
    verify_list(directory, known)
    check_fetched(directory, known)
    assert (known.id, known.erased, known.remaining) == (manifest.id, (3,), 5)
    others = [(index, name) for index, name in enumerate(IDS) if index != 3]
    assert [*read_parameters(directory, range(6))] == others
    judged = read_validated(directory, manifest.id)
    assert judged is not None
    assert judged.kinds == {"ok": 5}
    results = Results(directory, known, judged)
    assert [(record.index, record.result) for record in results.records()] == [(i, {"of": name}) for i, name in others]
    assert [*results.missing()] == []
    jobs = read_jobs(directory.shard(1).generation(1), manifest.id, lambda _: True)
    assert {index: note.job for index, note in jobs.items()} == {2: "job of p2"}
    assert erased(store) == Erased()


def test_a_second_parameter_of_the_same_list(store: Store) -> None:
    """Both are out then, and the list keeps its first id."""
    directory, manifest = fetched(store)
    erased(store)
    assert erased(store, "p0").lists == 1
    known = read_manifest(directory)
    verify_list(directory, known)
    assert (known.id, known.erased) == (manifest.id, (0, 3))
    judged = read_validated(directory, manifest.id)
    assert judged is not None
    assert judged.kinds == {"ok": 4}


def test_what_was_put_aside_goes(store: Store) -> None:
    """A part that was damaged may hold it, and nobody can tell."""
    directory, manifest = fetched(store)
    generation = directory.shard(1).generation(1)
    part = generation.parts()[-1]
    part.put_whole(part.content()[:-3] + b"???")
    _, damaged = resume(generation, range(2, 4), manifest.id)
    assert [each.key for each in damaged] == [part.key]
    aside = Location(store, f"{part.key}.damaged")
    assert aside.is_there()
    erased(store)
    assert not aside.is_there()


def test_what_was_left_out_goes_on_without_it(store: Store) -> None:
    """A later run asks for the others, and knows the file as the one that it was."""
    directory = ReportDirectory.of(store, dag_id="calls", run_id="monday", report="report").new_list()
    now = datetime.now(UTC)
    left_out = LeftOut(
        run_id="monday",
        as_of=DATE.moment.isoformat(),
        as_of_from=DATE.source,
        day=DATE.day,
        since=now,
        until=now + timedelta(days=7),
        count=3,
        nonce="n0nce",
    )
    write_left_out(directory.left_out, left_out, ["p1", "p3", "p5"])
    location = LeftOuts.of(directory).of_run("monday")
    location.publish(directory.left_out)
    assert erased(store).parameters == 1
    head = location.read_head()
    assert head is not None
    assert (head.count, head.nonce) == (2, "n0nce")
    assert [*left_out_parameters(location.file, head)] == ["p1", "p5"]
    assert erase(store, wanted(["p1", "p5"]), lambda *_: False).parameters == 2
    assert LeftOuts.of(directory).all(print) == []


def test_a_run_that_keeps_nothing_has_no_parameter_and_no_result(store: Store) -> None:
    """Of none of its lists; that it is loaded can be seen."""
    directory, _ = fetched(store)
    keep_only(directory, Loaded(clearing=2, summary={"documents": 6}))
    gone = [directory.parameters, directory.validated]
    for shard in range(3):
        for attempt in (1, 2):
            of_try = directory.shard(shard).generation(1).attempt(attempt)
            gone += [of_try.part(0), of_try.jobs(0)]
    assert [location.key for location in gone if location.is_there()] == []
    assert read_loaded(directory) == Loaded(clearing=2, summary={"documents": 6})
    assert [(each.step, each.total) for each in live(store, "calls", "monday")] == [("load", 6)]
    assert erased(store) == Erased()
