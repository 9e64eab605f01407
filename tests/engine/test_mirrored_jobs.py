"""Jobs of a fetch whose machine is lost with its disk: none is created a second time."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_fanout.api.poll import Poll
from airflow_fanout.api.request import Request
from airflow_fanout.launch.messages import StoredNotes
from airflow_fanout.launch.upload import Upload
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.jobs import JobJournal
from airflow_fanout.staging.results import Results
from harness.s3 import S3Server
from harness.service import DemoService
from harness.service.invoices import customers
from tests.engine.harness import frozen, journal
from tests.engine.mirrored import Worker, fetch, job_of, s3_list
from tests.staging.objects import new_prefix

CUSTOMERS, COUNT, PLACES = 160, 60, 8
EXPORT = Request(
    endpoint="/exports",
    method="POST",
    json={"customer": "{id}", "day": "2026-11-22"},
    poll=Poll(endpoint="/exports/{job}", status="status", ready=("done",), download="file", interval_s=0.1),
    result="rows",
)


@pytest.fixture
def service() -> Iterator[DemoService]:
    """An API that makes exports."""
    with DemoService.start(customers=CUSTOMERS, seed=7, export_s=0.3, latency_ms=50) as service:
        yield service


@pytest.fixture
def directory(s3: S3Server) -> Iterator[ListDirectory]:
    """A frozen list of customers who have exports, in S3."""
    names = [customer.id for customer in customers(CUSTOMERS) if customer.active][:COUNT]
    yield frozen(s3_list(s3.options, f"staging/{new_prefix()}", "").store, names, ("id",))
    s3.tell("back")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process have its temporary files to itself."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes sooner or later."""
    while not condition():
        time.sleep(0.02)


def created(service: DemoService) -> int:
    """Return how many exports there are."""
    return int(service.stats()["exports"]["created"])


@pytest.mark.parametrize("is_away", [False, True], ids=["there", "away"])
@pytest.mark.usefixtures("disk")
def test_a_lost_machine_lets_no_job_be_created_twice(
    directory: ListDirectory, s3: S3Server, service: DemoService, tmp_path: Path, *, is_away: bool
) -> None:
    """Without an idempotency key; also when the storage was away before the machine was lost."""
    worker = Worker(directory, s3.options, service.url, tmp_path / "lost", request=EXPORT)
    until(lambda: created(service) >= COUNT // 4)
    if is_away:
        s3.tell("away")
        # Whoever created without a note would go on with that.
        time.sleep(1.5)
    before = created(service)
    worker.lose()
    s3.tell("back")

    fetch(directory, job_of(directory, service.url, request=EXPORT, retry=Retry()))

    stats = service.stats()["exports"]
    assert stats["most_of_one"] == 1
    records = list(Results(directory, read_manifest(directory)).records())
    assert len(records) == COUNT
    failures = [record.failure for record in records if record.failure]
    assert {failure.type for failure in failures} <= {"JobUnknown"}
    assert all("a job may exist for this parameter" in failure.message for failure in failures)
    # Those that were noted and not created, or created and not noted, when the machine was lost.
    assert len(failures) <= 4 * PLACES
    assert before <= stats["created"]
    assert Counter(record.kind for record in records)[Kind.OK] == COUNT - len(failures)


@pytest.mark.usefixtures("disk")
def test_with_a_key_no_job_waits_for_the_storage(
    directory: ListDirectory, s3: S3Server, service: DemoService, tmp_path: Path
) -> None:
    """All are created while it is away. A later try creates them again, and the API knows the keys."""
    keyed = replace(EXPORT, idempotency_header="Idempotency-Key")
    worker = Worker(directory, s3.options, service.url, tmp_path / "lost", request=keyed)
    until(lambda: created(service) >= 1)
    s3.tell("away")
    until(lambda: created(service) == COUNT)
    worker.lose()
    s3.tell("back")

    progress = fetch(directory, job_of(directory, service.url, request=keyed, retry=Retry()))

    stats = service.stats()["exports"]
    assert (stats["created"], stats["most_of_one"], progress.kinds[Kind.OK]) == (COUNT, 1, COUNT)


@pytest.mark.parametrize("is_overtaken", [False, True])
def test_a_note_counts_unless_a_newer_try_may_have_looked_before(
    directory: ListDirectory, tmp_path: Path, *, is_overtaken: bool
) -> None:
    """An older try mustn't create what the newer one doesn't know of; it is stopped instead."""
    list_id = read_manifest(directory).id
    stored = journal(directory).new_try()
    local = journal(ListDirectory(FolderStore(tmp_path), directory.key)).new_try()
    heard: list[StoredNotes] = []
    jobs = JobJournal(local, count(), list_id=list_id, known={}, is_newest=lambda: True, is_copied=True)
    jobs.announce(3)
    if is_overtaken:
        stored.generation.new_try()
    upload = Upload(local, stored, list_id, print)
    upload.confirm = heard.append
    upload._beat()
    upload._beat()

    sizes = {"jobs-00000.jsonl.zst": local.jobs(0).size()}
    assert [notes.sizes for notes in heard] == ([] if is_overtaken else [sizes])
    assert local.shard.is_newest(local) is not is_overtaken
    jobs.close()
