"""Engines that work in a folder of their machine's while the staging area is in an object storage."""

from __future__ import annotations

import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_fanout.launch.mirror import PREFIX
from airflow_fanout.staging.directory import GenerationDirectory, ListDirectory
from airflow_fanout.staging.errors import NotPutUp
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.journal import read_records
from airflow_fanout.staging.results import check_fetched
from harness.s3 import S3Server
from tests.engine.harness import frozen, journal
from tests.engine.mirrored import Worker, fetch, job_of, s3_list
from tests.load.reports import Service, serving
from tests.staging.objects import new_prefix

IDS = [f"i{number:04}" for number in range(400)]


@pytest.fixture
def service() -> Iterator[Service]:
    """An API that notes each request."""
    with serving() as service:
        yield service


@pytest.fixture
def directory(s3: S3Server) -> Iterator[ListDirectory]:
    """A frozen list of 400 items in S3."""
    root = f"staging/{new_prefix()}"
    in_s3 = s3_list(s3.options, root, "")
    yield frozen(in_s3.store, IDS, ("id",))
    s3.tell("back")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this process's temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes sooner or later."""
    while not condition():
        time.sleep(0.05)


def indexes(generation: GenerationDirectory) -> list[int]:
    """Return the indexes that have a record, as often as they have one."""
    return sorted(record.index for record in read_records(generation))


def test_the_results_of_engines_are_in_the_object_storage(
    directory: ListDirectory, service: Service, disk: Path
) -> None:
    """All of them, when the fetch has ended; the folder is gone, and so is that of a fetch that was killed."""
    abandoned = disk / f"{PREFIX}abandoned"
    abandoned.mkdir()
    (abandoned / "parameters").write_text("i0001")
    progress = fetch(directory, job_of(directory, service.url))
    assert (progress.done, indexes(journal(directory))) == (400, list(range(400)))
    check_fetched(directory, read_manifest(directory))
    assert list(disk.iterdir()) == []


def test_what_a_lost_machine_had_put_up_is_not_requested_again(
    directory: ListDirectory, s3: S3Server, service: Service, disk: Path, tmp_path: Path
) -> None:
    """The next try requests all else, once: what was on the lost disk only, and what had not begun."""
    worker = Worker(directory, s3.options, service.url, tmp_path / "lost", 100.0)
    generation = journal(directory)
    until(lambda: generation.numbers("try") and len(generation.parts()) >= 2)
    worker.lose()
    kept = indexes(generation)
    assert 0 < len(kept) < len(IDS)
    before = Counter(item for item, _ in service.taken())

    progress = fetch(directory, job_of(directory, service.url))
    again = Counter(item for item, _ in service.taken())
    assert progress.resumed == len(kept)
    assert again == Counter(item for index, item in enumerate(IDS) if index not in set(kept))
    assert set(before) | set(again) == set(IDS)
    assert indexes(generation) == list(range(400))


def test_a_newer_try_on_another_machine_stops_the_older_one(
    directory: ListDirectory, s3: S3Server, service: Service, tmp_path: Path
) -> None:
    """Nobody tells it: it looks."""
    worker = Worker(directory, s3.options, service.url, tmp_path / "old", 10.0)
    generation = journal(directory)
    until(lambda: service.requests)
    newer = generation.new_try()
    said, _ = worker.process.communicate()
    assert (said.strip(), generation.newest_try()) == ("Superseded", newer)
    assert len(service.requests) < len(IDS)


def test_a_fetch_goes_on_while_the_storage_is_away(
    directory: ListDirectory, s3: S3Server, service: Service, disk: Path
) -> None:
    """It waits with what it has, warns once, and nothing is lost when the storage is back."""
    warnings: list[str] = []
    done: list[int] = []
    todo = job_of(directory, service.url, 200.0)
    thread = threading.Thread(target=lambda: done.append(fetch(directory, todo, warnings.append).done))
    thread.start()
    until(lambda: journal(directory).numbers("try") and journal(directory).parts())
    s3.tell("away")
    until(lambda: len(service.requests) == len(IDS) and warnings)
    s3.tell("back")
    thread.join()
    assert (done, indexes(journal(directory))) == ([400], list(range(400)))
    assert len(warnings) == 2
    assert "can't be written" in warnings[0]
    assert "can be written again" in warnings[1]
    assert "nothing was lost" in warnings[1]


def test_what_cannot_be_put_up_is_counted_as_lost(
    directory: ListDirectory, s3: S3Server, service: Service, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fetch fails, and may be tried again."""
    monkeypatch.setattr("airflow_fanout.launch.fetch.FINISH_S", 0.0)
    monkeypatch.setattr("tests.engine.mirrored.PART_AGE_S", 3_600.0)
    caught: list[BaseException] = []

    def failing() -> None:
        try:
            fetch(directory, job_of(directory, service.url, 200.0))
        except NotPutUp as error:
            caught.append(error)

    thread = threading.Thread(target=failing)
    thread.start()
    until(lambda: service.requests)
    s3.tell("away")
    thread.join()
    s3.tell("back")
    [error] = caught
    assert isinstance(error, NotPutUp)
    assert (error.records, error.parts, error.retry) == (400, 1, True)
    assert indexes(journal(directory)) == []
    assert not journal(directory).is_complete
