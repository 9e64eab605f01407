"""Fetches that are ended before their work is done, in each of the ways in which that happens."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from demo.airflow import AirflowClient
from demo.numbers import number
from demo.service import DemoService
from tests.integration.engines import engine_of
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

COUNT = 400
CONCURRENCY = 10
LATENCY_MS = 250
# What is under way at the end, and what the journal's open part may lose: one second's worth.
ASKED_AGAIN_AT_MOST = CONCURRENCY + CONCURRENCY * 1000 // LATENCY_MS


@dataclass(frozen=True)
class Processes:
    """The processes of a running fetch, from the outside in."""

    supervisor: psutil.Process
    task: psutil.Process
    engine: psutil.Process

    @classmethod
    def of(cls, run: Run) -> Processes:
        engine = engine_of(run)
        task = engine.parent()
        assert task
        supervisor = task.parent()
        assert supervisor
        return cls(supervisor, task, engine)


def mark_failed(run: Run, _processes: Processes) -> None:
    """Press "mark failed" in the UI."""
    run.client.mark(run.dag_id, run.run_id, "fetch", "failed")


def kill_task(_run: Run, processes: Processes) -> None:
    """Kill the task's process, as the kernel does when there is no memory left."""
    processes.task.send_signal(signal.SIGKILL)


def kill_supervisor(_run: Run, processes: Processes) -> None:
    """Kill Airflow's process above the task's."""
    processes.supervisor.send_signal(signal.SIGKILL)


def wait_for_the_limit(run: Run, _processes: Processes) -> None:
    """Do nothing: the task has an `execution_timeout`."""
    run.client.wait_task(run.dag_id, run.run_id, "fetch")


@dataclass(frozen=True)
class Way:
    """A way to end a fetch; the report of the subscribers from `first` on."""

    end: Callable[[Run, Processes], None]
    first: int
    dag_id: str = "slice"


WAYS = {
    "mark failed": Way(mark_failed, 0),
    "SIGKILL of the task": Way(kill_task, 400),
    "SIGKILL of the supervisor": Way(kill_supervisor, 800),
    "execution_timeout": Way(wait_for_the_limit, 1200, "slice_limited"),
}


@dataclass(frozen=True)
class Ended:
    """A run whose fetch was ended, and how long its engine lived on."""

    run: Run
    engine_left_s: float | None


@pytest.fixture(scope="module")
def ended(dag_ids: list[str], airflow: Any, call_service: DemoService) -> Mapping[str, Ended]:
    """A run for each of the ways, side by side, ended and then cleared and brought to its end."""
    call_service.reset_stats()
    call_service.set_faults(latency_ms=LATENCY_MS)
    client: AirflowClient = airflow.client()
    runs = {name: Run.trigger(client, way.dag_id, {"first": way.first, "count": COUNT}) for name, way in WAYS.items()}
    with ThreadPoolExecutor(len(WAYS)) as each:
        found = dict(zip(WAYS, each.map(_end, runs.values(), WAYS.values()), strict=True))
    call_service.set_faults(latency_ms=0)
    for run in runs.values():
        _again(run)
    for run in runs.values():
        run.ended()
    call_service.restore_faults()
    return found


def _end(run: Run, way: Way) -> Ended:
    run.fetching(CONCURRENCY)
    processes = Processes.of(run)
    way.end(run, processes)
    begun = time.monotonic()
    gone, _ = psutil.wait_procs([processes.engine], timeout=30)
    return Ended(run, time.monotonic() - begun if gone else None)


def _again(run: Run) -> None:
    # The task of a killed supervisor counts as running until Airflow misses its heartbeats; nobody waits for that.
    if run.task("fetch")["state"] == "running":
        run.client.mark(run.dag_id, run.run_id, "fetch", "failed")
    run.client.wait_run(run.dag_id, run.run_id)
    run.clear("fetch")


@pytest.mark.parametrize("way", WAYS)
def test_no_engine_is_left(ended: Mapping[str, Ended], way: str) -> None:
    """However the fetch task ends, its engine is gone within five seconds."""
    left_s = ended[way].engine_left_s
    print(f"\n{way}: the engine was gone after {'never' if left_s is None else f'{left_s:.1f} s'}")
    assert left_s is not None
    assert left_s < 5


@pytest.mark.parametrize("way", WAYS)
def test_the_next_try_asks_only_for_the_rest(
    ended: Mapping[str, Ended], call_service: DemoService, loaded: Database[dict[str, Any]], way: str
) -> None:
    """After a clear the run completes; what was done before is not asked for again."""
    run = ended[way].run
    run.succeeded()
    asked = call_service.asked()
    times = [asked[number(index)] for index in range(WAYS[way].first, WAYS[way].first + COUNT)]
    fetched = run.returned("fetch")
    print(f"\n{way}: {sum(times) - COUNT} of {COUNT} asked for again, {fetched['resumed']} resumed")
    assert fetched["resumed"] >= CONCURRENCY
    assert sum(times) - COUNT <= ASKED_AGAIN_AT_MOST
    as_of = datetime.fromisoformat(run.returned("load")["as_of"])
    assert loaded[run.dag_id].count_documents({"as_of": as_of}) == COUNT
