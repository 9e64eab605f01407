from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from airflow_fanout.api.request import Request
from airflow_fanout.launch.messages import DamagedPart, Ended, ProgressReport
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import Finished, LongPause, Overtaken
from airflow_fanout.model.outcome import Kind
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_manifest
from tests.engine.harness import NOWHERE, Run, frozen, job, journal, listened, run, settings
from tests.http.servers import Server, as_json
from tests.staging.places import path_of

if TYPE_CHECKING:
    from tests.http.servers import Connection, Seen

ROOT = Path(__file__).resolve().parents[2]

STARVED = """
import resource, sys
from airflow_fanout.launch.messages import Failed
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.staging.folder import list_at
from tests.engine.harness import job, settings
how = settings(int(sys.argv[2]))
work = lambda session, number: resource.getrlimit(resource.RLIMIT_NOFILE)[0]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 256))
with EngineProcess(job(list_at(sys.argv[1]), work, how=how)) as engine:
    print(*(said.message if isinstance(said, Failed) else type(said).__name__ for said in engine.listen()))
"""


def echo(session: object, number: int) -> int:
    """Return the parameter."""
    return number


def part_of(directory: ListDirectory, start: int, stop: int) -> Run:
    """Fetch a range of a list."""
    whole = job(directory, echo)
    return run(replace(whole, start=start, stop=stop))


def test_range_is_all_that_is_fetched(tmp_path: Path) -> None:
    """An engine fetches the indexes from start to stop, no others, and its total is their number."""
    found = part_of(frozen(tmp_path, range(100)), 20, 50)
    assert sorted(record.index for record in found.records) == list(range(20, 50))
    assert (found.progress.total, found.progress.done) == (30, 30)


def test_empty_range_is_done(tmp_path: Path) -> None:
    """An empty range is done at once, without a record."""
    found = part_of(frozen(tmp_path, range(5)), 3, 3)
    assert (found.reason, found.ended, found.records) == (Finished(), "exited with code 0", [])


def test_progress_comes_each_second(tmp_path: Path) -> None:
    """Counts come each second, grow, and end in a last message with everything."""

    def slow(session: object, number: int) -> int:
        time.sleep(0.25)
        return number

    found = run(job(frozen(tmp_path, range(10)), slow, how=settings(1)))
    assert [type(said) for said in found.said] == [ProgressReport, ProgressReport, Ended]
    first, second, last = (said.progress.done for said in found.said if isinstance(said, ProgressReport | Ended))
    assert 0 < first < second < last == 10


def test_records_are_readable_while_the_engine_runs(tmp_path: Path) -> None:
    """What has ended is in the journal at the next second, not only at the end."""

    def wait(session: object, number: int, path: str = str(tmp_path)) -> int:
        parts: list[Path] = []
        while number == 1 and not any(part.stat().st_size for part in parts):
            parts = list(Path(path).rglob("part-*.zst"))
            time.sleep(0.05)
        return number

    found = run(job(frozen(tmp_path, range(2)), wait))
    assert found.progress.kinds == {"ok": 2}


def test_field_that_the_list_lacks(tmp_path: Path) -> None:
    """A request with a field that the parameters don't have fails the engine before anything is sent."""
    found = run(job(frozen(tmp_path, ["a"], ("tel",)), Request(endpoint="/calls/{tle}"), NOWHERE))
    assert found.failure.kind == "UnknownField"
    assert "Did you mean {tel}?" in found.failure.message
    assert (found.ended, found.records) == (f"exited with code {os.EX_SOFTWARE}", [])


def test_list_that_is_gone(tmp_path: Path) -> None:
    """A list that was cleaned away fails the engine, and says so."""
    directory = frozen(tmp_path, range(3))
    todo = job(directory, echo)
    directory.parameters.delete()
    found = run(todo)
    assert "parameters.jsonl.zst" in found.failure.message


def test_list_that_is_cut(tmp_path: Path) -> None:
    """A list with fewer lines than its manifest says fails the engine; what was there has its records."""
    directory = frozen(tmp_path, range(3))
    todo = replace(job(directory, echo), stop=5)
    found = run(todo)
    assert found.failure.kind == "StagingLost"
    assert {record.index for record in found.records} == {0, 1, 2}


def test_damaged_journal_is_not_trusted(tmp_path: Path) -> None:
    """A part whose bytes have changed is put aside by the next try, which says so and fetches its records again."""
    directory = frozen(tmp_path, range(200))
    todo = job(directory, echo)
    assert run(todo).reason == Finished()
    [part] = map(path_of, journal(directory).parts())
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0xFF
    part.write_bytes(content)
    found = run(todo)
    assert found.said[0] == DamagedPart(str(part))
    assert part.with_name(f"{part.name}.damaged").exists()
    assert (found.reason, found.progress.resumed, len(found.outcomes)) == (Finished(), 0, 200)


def test_long_lists_keep_their_order_of_indexes(tmp_path: Path) -> None:
    """Five thousand parameters end in five thousand records, each with its own index and parameter."""
    directory = frozen(tmp_path, (f"p{number}" for number in range(5_000)))
    found = run(job(directory, lambda _, name: name, how=settings(50)))
    assert read_manifest(directory).count == len(found.records) == 5_000
    assert all(record.parameter == record.result == f"p{record.index}" for record in found.records)
    assert {record.kind for record in found.records} == {Kind.OK}


def test_open_files_of_a_real_engine(tmp_path: Path) -> None:
    """The engine raises its soft limit on open files, and refuses a concurrency that the hard one can't carry."""
    directory = str(frozen(tmp_path, range(1)))
    assert starved(directory, concurrency=180) == "Ended"
    refused = starved(directory, concurrency=300)
    assert {"300", "256"} <= set(re.findall(r"\d+", refused))


def starved(directory: str, concurrency: int) -> str:
    """Return what an engine says that may have 200 open files, or 256 if it asks."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", STARVED, directory, str(concurrency)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_newer_try_ends_an_older_engine(tmp_path: Path) -> None:
    """When a newer try has begun the older engine goes, whatever is under way in it, and says why."""

    def slow(session: object, number: int) -> int:
        time.sleep(0.05 if number < 10 else 60)
        return number

    directory = frozen(tmp_path, range(100))
    todo = job(directory, slow, how=settings(2))
    with EngineProcess(todo) as engine:
        next(said for said in engine.listen() if isinstance(said, ProgressReport))
        journal(directory).new_try()
        found = listened(engine, todo)
    assert (found.reason, found.ended) == (Overtaken(), f"exited with code {os.EX_TEMPFAIL}")
    assert sorted(found.outcomes) == sorted(str(number) for number in range(10))


def test_newer_generation_ends_an_older_engine(tmp_path: Path) -> None:
    """The same when everything is fetched anew meanwhile."""

    def slow(session: object, number: int) -> int:
        time.sleep(60)
        return number

    directory = frozen(tmp_path, range(3))
    todo = job(directory, slow)
    with EngineProcess(todo) as engine:
        next(said for said in engine.listen() if isinstance(said, ProgressReport))
        directory.shard(0).generation(2).new_try()
        assert listened(engine, todo).reason == Overtaken()


def test_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    """When the journal can't grow the engine fails and says so; the next try fetches what isn't in it, no more."""

    def large(session: object, number: int) -> str:
        # No file beyond a million bytes: to the writer the same as a full disk, with half a frame written.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        return os.urandom(20_000).hex()

    directory = frozen(tmp_path, range(100))
    failed = run(job(directory, large, how=settings(2)))
    assert failed.ended == f"exited with code {os.EX_SOFTWARE}"
    assert failed.failure.kind == "OSError"
    assert "File too large" in failed.failure.message
    assert 0 < len(failed.outcomes) < 60
    found = run(job(directory, echo))
    assert [said for said in found.said if isinstance(said, DamagedPart)] == []
    assert (found.reason, found.progress.resumed) == (Finished(), len(failed.outcomes))
    assert (found.progress.requests, len(found.outcomes)) == (100 - len(failed.outcomes), 100)


def test_staging_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A journal that can't be begun fails the engine before anything is sent; with the cause gone all is fetched."""
    directory = frozen(tmp_path, range(3))
    todo = job(directory, echo)
    obstacle = path_of(directory.journal)
    obstacle.write_text("a file where a folder should be")
    failed = run(todo)
    assert (failed.failure.kind, failed.records) == ("NotADirectoryError", [])
    obstacle.unlink()
    assert run(todo).progress.kinds == {"ok": 3}


def test_last_answer_asks_for_nothing_more(tmp_path: Path) -> None:
    """A quota that is used up by the last parameter of all is no reason to wait for an hour."""

    def spent(seen: Seen, connection: Connection) -> bytes:
        return as_json(seen.path, "200 OK", "RateLimit-Remaining: 0", "RateLimit-Reset: 3600")

    with Server(spent) as server:
        found = run(job(frozen(tmp_path, range(1)), Request(endpoint="/{0}"), server.origin))
        waited = run(job(frozen(tmp_path, range(9)), Request(endpoint="/{0}"), server.origin, settings(1)))
    assert (found.reason, found.ended) == (Finished(), "exited with code 0")
    assert (waited.reason, len(waited.records)) == (LongPause(3600.0), 1)
