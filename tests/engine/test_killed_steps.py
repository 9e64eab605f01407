"""An engine that is killed in the middle of parameters with several requests each: what the next one does again."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import psutil
import pytest
from msgspec.structs import replace

from airflow_fanout.api.paging import Cursor
from airflow_fanout.api.poll import Poll
from airflow_fanout.api.request import Request
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.errors import EngineDied
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.plan import Shard
from airflow_fanout.launch.process import PROGRAM, EngineProcess
from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry, Throttle
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.journal import read_records
from harness.service import DemoService
from harness.service.invoices import PAGES, customers, invoices_of
from tests.engine.harness import frozen, job, journal, run, settings
from tests.engine.tokens import guarded, login, oauth2
from tests.http.servers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_fanout.launch.job import Job
    from airflow_fanout.model.outcome import Record

DAY = "2026-11-22"
SEED = 7
LONG_S = 600.0
INVOICES = Request(
    endpoint="/customers/{id}/invoices",
    query={"day": DAY},
    pages=Cursor(field="next_cursor"),
    result="data",
)
EXPORT = Request(
    endpoint="/exports",
    method="POST",
    json={"customer": "{id}", "day": DAY},
    poll=Poll(endpoint="/exports/{job}", status="status", ready=("done",), download="file", interval_s=0.1),
    result="rows",
)


def active(count: int) -> list[str]:
    """Return the ids of a number of customers who have invoices."""
    return [customer.id for customer in customers(2 * count) if customer.active][:count]


@contextmanager
def killing(when: Callable[[], bool]) -> Iterator[None]:
    """Kill the engine that this process has started, as soon as something is so."""

    def watch() -> None:
        assert until(when, LONG_S)
        [engine] = [child for child in psutil.Process().children() if str(PROGRAM) in child.cmdline()]
        engine.kill()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join(LONG_S)


def killed(todo: Job, when: Callable[[], bool]) -> None:
    """Run an engine until something is so, and kill it."""
    with EngineProcess(todo) as engine:
        with killing(when):
            list(engine.listen())
        assert engine.ended == "was killed by SIGKILL"


def test_only_pages_of_parameters_under_way_are_requested_again(tmp_path: Path) -> None:
    """After each kill at most three pages for each place of the concurrency; and nothing is missing in the end."""
    concurrency, kills, count = 16, 2, 150
    names = active(count)
    with DemoService.start(customers=2 * count, seed=SEED, latency_ms=10) as service:
        how = settings(concurrency, retry=Retry())
        todo = job(frozen(tmp_path, names, ("id",)), INVOICES, service.url, how)

        def pages(which: str) -> int:
            return int(service.stats()["pages"][which])

        repeated = [0]
        for number in range(1, kills + 1):
            due = count * PAGES * number // (kills + 1)
            killed(todo, lambda due=due: pages("answered") >= due)  # type: ignore[misc] # it is called at once
            repeated.append(pages("again"))
        result = run(todo)
        repeated.append(pages("again"))
    assert result.reason == Finished()
    assert max(later - earlier for earlier, later in pairwise(repeated)) <= concurrency * PAGES
    assert_complete(result.records, names)


@pytest.mark.long
def test_five_kills_of_a_fetch_from_a_saas_company(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Tokens end each minute, unknown customers are 404, beyond a hundred requests a second there is 429."""
    concurrency, kills, names = 16, 5, active(4_950)
    directory = frozen(tmp_path, [*names, *(f"cus_unknown_{number}" for number in range(50))], ("id",))
    how = settings(concurrency, retry=Retry(), throttle=Throttle(rate_per_s=100))
    with guarded(customers=10_000, seed=SEED, token_lifetime_s=60, limit_per_s=100, latency_ms=20) as service:
        logged_in = login(oauth2(service.url))
        todo = job(directory, replace(INVOICES, null_statuses=(404,)), logged_in.connection, how)
        part = Shard.of(directory, read_manifest(directory), None)

        def pages(which: str) -> int:
            return int(service.stats()["pages"][which])

        repeated = [0]
        for number in range(1, kills + 1):
            due = len(names) * PAGES * number // (kills + 1)
            with pytest.raises(EngineDied, match="SIGKILL"), killing(lambda due=due: pages("answered") >= due):  # type: ignore[misc] # it is called at once
                Fetch(part, todo, lambda _message: None, logged_in).run("the connection")
            repeated.append(pages("again"))
        Fetch(part, todo, lambda _message: None, logged_in).run("the connection")
        repeated.append(pages("again"))
        record_property("requested again after each kill", [b - a for a, b in pairwise(repeated)])
        record_property("statuses", service.stats()["by_status"])
    assert max(later - earlier for earlier, later in pairwise(repeated)) <= concurrency * PAGES
    records = list(read_records(journal(directory)))
    assert_complete([record for record in records if record.kind is not Kind.NULL], names)
    assert len(records) == 5_000


def assert_complete(records: list[Record], names: list[str]) -> None:
    """Assert that each customer has all invoices, in order."""
    results = {record.parameter["id"]: [invoice["id"] for invoice in record.result] for record in records}
    day = date.fromisoformat(DAY)
    assert results == {name: [invoice.id for invoice in invoices_of(SEED, name, day)] for name in names}


@pytest.mark.parametrize(
    ("count", "export_s", "latency_ms"),
    # Slow answers: the engine is still at work when this process has seen what it waits for.
    [(60, 0.3, 100), pytest.param(500, 5.0, 0, marks=pytest.mark.long)],
    ids=["short", "full"],
)
@pytest.mark.parametrize("key", ["Idempotency-Key", None], ids=["key", "no-key"])
def test_each_job_is_created_once(
    tmp_path: Path, count: int, export_s: float, latency_ms: float, key: str | None
) -> None:
    """Two kills: one while jobs are created, one while results are fetched.

    Without a key, a job whose creation nobody knows the answer of isn't created again: the outcome says so.
    """
    names = active(count)
    with DemoService.start(customers=2 * count, seed=SEED, export_s=export_s, latency_ms=latency_ms) as service:
        request = Request(**{**EXPORT.template(), "idempotency_header": key})
        todo = job(frozen(tmp_path, names, ("id",)), request, service.url, settings(8, retry=Retry()))

        def exports(which: str) -> int:
            return int(service.stats()["exports"][which])

        killed(todo, lambda: exports("created") >= count // 2)
        killed(todo, lambda: exports("fetched") >= count // 4)
        result = run(todo)
        stats = service.stats()["exports"]
    assert result.reason == Finished()
    assert stats["most_of_one"] == 1
    # Of those that are unknown, each later try has said so again.
    latest = {record.index: record for record in result.records}
    unknown = [record for record in latest.values() if record.kind is not Kind.OK]
    assert len(latest) == count
    if key is not None:
        assert (stats["created"], unknown) == (count, [])
    # At most one for each place of the concurrency and kill: of these the answer may have been lost.
    assert len(unknown) <= 2 * 8
    assert {record.failure.type for record in unknown if record.failure} <= {"JobUnknown"}
    for record in latest.values():
        if record.kind is Kind.OK:
            invoices = invoices_of(SEED, record.parameter["id"], date.fromisoformat(DAY))
            assert record.result == [invoice.id for invoice in invoices]


def test_engines_side_by_side_share_no_job(tmp_path: Path) -> None:
    """Each has a file of its own; after a kill, another number of engines finds all jobs."""
    names = active(40)
    with DemoService.start(customers=80, seed=SEED, export_s=0.3) as service:
        request = Request(**{**EXPORT.template(), "idempotency_header": "Idempotency-Key"})
        directory = frozen(tmp_path, names, ("id",))
        with Engines(job(directory, request, service.url, settings(8, processes=2))) as engines:
            killer = threading.Thread(
                target=lambda: (
                    until(lambda: len([*tmp_path.rglob("jobs-*")]) == 2, LONG_S),
                    psutil.Process(engines.pids[1]).kill(),
                )
            )
            killer.start()
            list(engines.listen())
            killer.join(LONG_S)
        result = run(job(directory, request, service.url, settings(8)))
        stats = service.stats()["exports"]
    assert (stats["created"], stats["most_of_one"]) == (40, 1)
    assert {record.kind for record in result.records} == {Kind.OK}
    assert len([*tmp_path.rglob("try-0001/jobs-*")]) == 2, "each engine has created some"
