from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from airflow_fanout.engine.job import Job
from airflow_fanout.engine.process import EngineProcess
from airflow_fanout.outcome import Kind
from airflow_fanout.request import Request
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_manifest
from tests.engine.harness import NOWHERE, Run, frozen, job, journal, run, settings

ROOT = Path(__file__).resolve().parents[2]

STARVED = """
import resource, sys
from pathlib import Path
from airflow_fanout.engine.process import EngineProcess
from airflow_fanout.staging.directory import ListDirectory
from tests.engine.harness import job, settings
how = settings(int(sys.argv[2]))
work = lambda session, number: resource.getrlimit(resource.RLIMIT_NOFILE)[0]
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 256))
with EngineProcess(job(ListDirectory(Path(sys.argv[1])), work, how=how)) as engine:
    print(*(said.value["message"] if said.what == "failed" else said.what for said in engine.listen()))
"""


def echo(session: object, number: int) -> int:
    """Return the parameter."""
    return number


def part_of(directory: ListDirectory, start: int, stop: int) -> Run:
    """Fetch a range of a list."""
    whole = job(directory, echo)
    return run(Job(**{**whole.__dict__, "start": start, "stop": stop}))


def test_range_is_all_that_is_fetched(tmp_path: Path) -> None:
    """An engine fetches the indexes from start to stop, no others, and its total is their number."""
    found = part_of(frozen(tmp_path, range(100)), 20, 50)
    assert sorted(record.index for record in found.records) == list(range(20, 50))
    assert (found.progress.total, found.progress.done) == (30, 30)


def test_empty_range_is_done(tmp_path: Path) -> None:
    """An empty range is done at once, without a record."""
    found = part_of(frozen(tmp_path, range(5)), 3, 3)
    assert (found.last.what, found.ended, found.records) == ("done", "exited with code 0", [])


def test_progress_comes_each_second(tmp_path: Path) -> None:
    """Counts come each second, grow, and end in a last message with everything."""

    def slow(session: object, number: int) -> int:
        time.sleep(0.25)
        return number

    found = run(job(frozen(tmp_path, range(10)), slow, how=settings(1)))
    told = [(said.what, sum(said.value["kinds"].values())) for said in found.said]
    assert [what for what, _ in told] == ["progress", "progress", "done"]
    assert 0 < told[0][1] < told[1][1] < told[2][1] == 10


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
    assert (found.last.what, found.last.value["kind"]) == ("failed", "UnknownField")
    assert "Did you mean {tel}?" in found.last.value["message"]
    assert (found.ended, found.records) == (f"exited with code {os.EX_SOFTWARE}", [])


def test_list_that_is_gone(tmp_path: Path) -> None:
    """A list that was cleaned away fails the engine, and says so."""
    directory = frozen(tmp_path, range(3))
    todo = job(directory, echo)
    directory.parameters.unlink()
    found = run(todo)
    assert found.last.what == "failed"
    assert "parameters.jsonl.zst" in found.last.value["message"]


def test_list_that_is_cut(tmp_path: Path) -> None:
    """A list with fewer lines than its manifest says fails the engine; what was there has its records."""
    directory = frozen(tmp_path, range(3))
    todo = Job(**{**job(directory, echo).__dict__, "stop": 5})
    found = run(todo)
    assert (found.last.what, found.last.value["kind"]) == ("failed", "StagingLost")
    assert {record.index for record in found.records} == {0, 1, 2}


def test_damaged_journal_is_not_trusted(tmp_path: Path) -> None:
    """A journal whose bytes have changed fails the next try instead of passing for results."""
    directory = frozen(tmp_path, range(200))
    todo = job(directory, echo)
    assert run(todo).last.what == "done"
    [part] = journal(directory).parts()
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0xFF
    part.write_bytes(content)
    with EngineProcess(todo) as engine:
        last = list(engine.listen())[-1]
    assert (last.what, last.value["kind"]) == ("failed", "JournalDamaged")


def test_long_lists_keep_their_order_of_indexes(tmp_path: Path) -> None:
    """Five thousand parameters end in five thousand records, each with its own index and parameter."""
    directory = frozen(tmp_path, (f"p{number}" for number in range(5_000)))
    found = run(job(directory, lambda _, name: name, how=settings(50)))
    assert read_manifest(directory).count == len(found.records) == 5_000
    assert all(record.parameter == record.outcome.result == f"p{record.index}" for record in found.records)
    assert {record.outcome.kind for record in found.records} == {Kind.OK}


def test_open_files_of_a_real_engine(tmp_path: Path) -> None:
    """The engine raises its soft limit on open files, and refuses a concurrency that the hard one can't carry."""
    directory = str(frozen(tmp_path, range(1)).path)
    assert starved(directory, concurrency=180) == "done"
    refused = starved(directory, concurrency=300)
    assert {"300", "256"} <= set(refused.replace(",", "").split())


def starved(directory: str, concurrency: int) -> str:
    """Return what an engine says that may have 200 open files, or 256 if it asks."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", STARVED, directory, str(concurrency)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
