"""Fetches that are ended before their work is done, in each of the ways in which that happens."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.airflow import AirflowClient
from harness.numbers import number
from harness.service import DemoService
from tests.integration.engines import engine_of
from tests.integration.own import OwnDag
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

COUNT = 400
CONCURRENCY = 10
# So slow that the fetch takes 40 s if nobody ends it.
LATENCY_MS = 1000
# What is under way at the end, and what the journal's open part may lose: one second's worth.
ASKED_AGAIN_AT_MOST = CONCURRENCY + CONCURRENCY * 1000 // LATENCY_MS
# Only a hang takes longer, on the slowest machine.
GONE_S = 60


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
    """A way to end the fetch of a report."""

    end: Callable[[Run, Processes], None]
    dag_id: str = "slice"
    is_long: bool = False


WAYS = {
    "mark failed": Way(mark_failed),
    "SIGKILL of the task": Way(kill_task),
    "SIGKILL of the supervisor": Way(kill_supervisor, is_long=True),
    "execution_timeout": Way(wait_for_the_limit, "slice_limited"),
}


def fail(run: Run) -> None:
    """Wait until the run has failed."""
    # The task of a killed supervisor counts as running until Airflow misses its heartbeats; nobody waits for that.
    if run.task("fetch")["state"] == "running":
        run.client.mark(run.dag_id, run.run_id, "fetch", "failed")
    assert run.ended() == "failed"


@pytest.mark.parametrize(
    "way", [pytest.param(way, id=name, marks=[pytest.mark.long] * way.is_long) for name, way in WAYS.items()]
)
def test_an_ended_fetch_leaves_no_engine_and_the_next_try_asks_only_for_the_rest(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]], way: Way
) -> None:
    """However a fetch ends, its engine ends in the middle of its work; cleared, the run asks for what is missing."""
    service.set_faults(latency_ms=LATENCY_MS)
    run = Run.trigger(client, own_dag(way.dag_id), {"first": 0, "count": COUNT})
    run.fetching(CONCURRENCY)
    processes = Processes.of(run)
    way.end(run, processes)
    psutil.wait_procs([processes.engine], timeout=GONE_S)
    assert not processes.engine.is_running()
    assert len(service.asked()) < COUNT

    fail(run)
    service.restore_faults()
    run.clear("fetch")
    run.succeeded()
    asked = service.asked()
    times = [asked[number(index)] for index in range(COUNT)]
    fetched = run.returned("fetch")
    print(f"\n{sum(times) - COUNT} of {COUNT} asked for again, {fetched['resumed']} resumed")
    assert fetched["resumed"] >= CONCURRENCY
    assert sum(times) - COUNT <= ASKED_AGAIN_AT_MOST
    as_of = datetime.fromisoformat(run.returned("load")["as_of"])
    assert loaded[run.dag_id].count_documents({"as_of": as_of}) == COUNT
