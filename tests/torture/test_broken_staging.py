"""A staging area that fails: a clear error, and when it is mended the next try goes on where the last one stopped."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.errors import EngineFailed
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.errors import StagingFailed
from airflow_fanout.staging.files import PRIVATE
from airflow_fanout.staging.folder import FolderStore, list_at
from airflow_fanout.staging.journal import read_records
from harness.service import DemoService
from tests.engine.harness import journal, listened, run
from tests.staging.places import path_of
from tests.torture.fetches import calls_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_fanout.launch.job import Job

NUMBER = 2_000
# About half of what the journal of so many takes.
ROOM_BYTES = 60 << 10
HOW = FetchSettings()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of the test's own, of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not is_mounted(folder):
        pytest.skip("a disk of the test's own takes the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def is_mounted(folder: Path) -> bool:
    """Mount a disk in memory; return whether that may be done here."""
    if os.geteuid() or not shutil.which("mount"):
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def service() -> Iterator[DemoService]:
    """A service that answers everything."""
    with DemoService.start(subscribers=NUMBER, latency_ms=40) as running:
        yield running


def done(todo: Job) -> set[str]:
    """Return the numbers with a good outcome in the journal."""
    found = read_records(journal(list_at(todo.directory)))
    return {record.parameter["tel"] for record in found if record.kind is Kind.OK}


def failure(todo: Job, meanwhile: Callable[[EngineProcess], object] = repr) -> str:
    """Run an engine that fails; return what the fetch task says of it."""
    from airflow_fanout.adapters.border import airflow_errors

    with EngineProcess(todo) as engine:
        meanwhile(engine)
        found = listened(engine, todo)
        with pytest.raises(EngineFailed) as caught, airflow_errors():
            progress_at_end(found.last, engine)
    assert caught.value.retry
    return str(caught.value)


def assert_goes_on(todo: Job, service: DemoService, durable: set[str]) -> None:
    """Check that the next try completes the list, and asks for nothing that was durable."""
    before = service.asked()
    found = run(todo)
    assert (found.reason, found.progress.resumed) == (Finished(), len(durable))
    assert found.progress.kinds == {Kind.OK: NUMBER}
    assert len(done(todo)) == NUMBER
    after = service.asked()
    assert [tel for tel in durable if after[tel] != before[tel]] == []


def test_full_disk(disk: Path, service: DemoService) -> None:
    """A disk that is full in the middle of a fetch: the error says so; with room again the next try goes on."""
    todo = calls_of(service, disk, NUMBER, HOW)
    with filled(disk):
        said = failure(todo)
        durable = done(todo)
    print(f"\n{len(durable)} of {NUMBER} durable. {said}")
    assert "No space left on device" in said
    assert str(disk) in said
    assert 0 < len(durable) < NUMBER
    assert_goes_on(todo, service, durable)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave a little room on a disk, for as long."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - ROOM_BYTES))
    yield
    filler.unlink()


def test_file_that_may_not_grow(tmp_path: Path, service: DemoService) -> None:
    """A limit on the size of files is as good as a full disk, and needs no disk of the test's own."""
    todo = calls_of(service, tmp_path, NUMBER, HOW)
    limit = (ROOM_BYTES, ROOM_BYTES)
    said = failure(todo, lambda engine: resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, limit))
    durable = done(todo)
    print(f"\n{len(durable)} of {NUMBER} durable. {said}")
    assert "File too large" in said
    assert str(tmp_path) in said
    assert 0 < len(durable) < NUMBER
    assert_goes_on(todo, service, durable)


def test_journal_that_is_no_folder(tmp_path: Path, service: DemoService) -> None:
    """A journal that can't be written at all: the error names the path, and no request is sent before."""
    todo = calls_of(service, tmp_path, NUMBER, HOW)
    in_the_way = path_of(list_at(todo.directory).journal)
    in_the_way.write_text("")
    said = failure(todo)
    assert "Not a directory" in said
    assert str(in_the_way) in said
    assert service.asked() == {}
    in_the_way.unlink()
    assert_goes_on(todo, service, set())


def test_staging_that_is_read_only(disk: Path, service: DemoService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A staging area without write permission, met by fetch after half of it and by extract; mended, fetch goes on."""
    from airflow_fanout.adapters.border import airflow_errors

    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(disk))
    todo = calls_of(service, disk, NUMBER, HOW)
    half = replace(todo, stop=NUMBER // 2)
    assert run(half).reason == Finished()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    said = failure(todo)
    print(f"\n{said}")
    assert "Read-only file system" in said
    assert todo.directory in said
    report = ReportDirectory.of(FolderStore(disk, PRIVATE), dag_id="dag", run_id="another", report="report")
    with pytest.raises(StagingFailed, match="must be writable") as caught, airflow_errors():
        report.new_list()
    print(caught.value)
    assert sum(service.asked().values()) == NUMBER // 2
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    assert_goes_on(todo, service, done(todo))
