"""An engine that is killed in the middle of parameters with several requests each: what the next one does again."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.paging import Cursor
from airflow_fanout.api.poll import Poll
from airflow_fanout.api.request import Request
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.messages import Finished
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import Retry, Throttle
from harness.service import DemoService
from harness.service.invoices import PAGES, customers, invoices_of
from tests.engine.harness import frozen, job, run, settings
from tests.http.servers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_fanout.launch.job import Job

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
def killing(engine: EngineProcess, when: Callable[[], bool]) -> Iterator[None]:
    """Kill an engine as soon as something is so."""

    def watch() -> None:
        assert until(when, LONG_S)
        os.kill(engine.pid, signal.SIGKILL)

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    thread.join(LONG_S)


def killed(todo: Job, when: Callable[[], bool]) -> None:
    """Run an engine until something is so, and kill it."""
    with EngineProcess(todo) as engine:
        with killing(engine, when):
            list(engine.listen())
        assert engine.ended == "was killed by SIGKILL"


@pytest.mark.parametrize(
    ("count", "kills", "rate_per_s", "faults"),
    [
        (150, 2, None, {"latency_ms": 10}),
        pytest.param(5_000, 5, 100.0, {"limit_per_s": 100, "latency_ms": 20}, marks=pytest.mark.long),
    ],
    ids=["short", "full"],
)
def test_only_pages_of_parameters_under_way_are_requested_again(
    tmp_path: Path, count: int, kills: int, rate_per_s: float | None, faults: dict[str, Any]
) -> None:
    """After each kill at most three pages for each place of the concurrency; and nothing is missing in the end."""
    concurrency, names = 16, active(count)
    with DemoService.start(customers=2 * count, seed=SEED, **faults) as service:
        how = settings(concurrency, throttle=Throttle(adaptive=False, rate_per_s=rate_per_s), retry=Retry())
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
    results = {record.parameter["id"]: [invoice["id"] for invoice in record.result] for record in result.records}
    assert results == {
        name: [invoice.id for invoice in invoices_of(SEED, name, date.fromisoformat(DAY))] for name in names
    }


@pytest.mark.parametrize(
    ("count", "export_s"), [(60, 0.3), pytest.param(500, 5.0, marks=pytest.mark.long)], ids=["short", "full"]
)
@pytest.mark.parametrize("key", ["Idempotency-Key", None], ids=["key", "no-key"])
def test_each_job_is_created_once(tmp_path: Path, count: int, export_s: float, key: str | None) -> None:
    """Two kills: one while jobs are created, one while results are fetched.

    Without a key, a job whose creation nobody knows the answer of isn't created again: the outcome says so.
    """
    names = active(count)
    with DemoService.start(customers=2 * count, seed=SEED, export_s=export_s) as service:
        request = Request(**{**EXPORT.template(), "idempotency_header": key})
        todo = job(frozen(tmp_path, names, ("id",)), request, service.url, settings(8, retry=Retry()))

        def exports(which: str) -> int:
            return int(service.stats()["exports"][which])

        killed(todo, lambda: exports("created") >= count // 2)
        killed(todo, lambda: exports("fetched") >= count // 2)
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
                    os.kill(engines.pids[1], signal.SIGKILL),
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
