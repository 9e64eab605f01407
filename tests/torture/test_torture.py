"""Nothing lost, nothing twice: a service with every fault, and an engine that is killed again and again.

`TORTURE=long` is the long form (`make torture`), `TORTURE_SEED` the number that a failed run has printed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from airflow_fanout.documents import Shape, encoded, parameter_and_result
from airflow_fanout.engine.process import EngineProcess
from airflow_fanout.mongo import write
from airflow_fanout.outcome import Kind
from airflow_fanout.settings import FetchSettings, Throttle, Timeouts
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.journal import read_records
from airflow_fanout.staging.results import Results
from demo.service import DemoService
from tests.engine.harness import Run, journal, listened
from tests.torture.fetches import LONG, by_second, calls_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_fanout.engine.job import Job

# The bursts are of fifty requests each; all of the others are single ones.
FAULTS: dict[str, Any] = {
    "error_rate": 0.05,
    "hang_rate": 0.02,
    "reset_rate": 0.01,
    # What isn't JSON twice in a row stands: at a thousandth that happens to one parameter in a million.
    "invalid_rate": 0.001,
    "throttle_rate": 0.01,
    "throttle_burst": True,
    "latency_ms": 20,
}
# What an author knows who has such an API: a hang is one after half a second, and it isn't the load that it comes of.
HOW = FetchSettings(timeouts=Timeouts(total_s=0.5), throttle=Throttle(floor=16))
# By chance, one parameter in some ten thousand runs into faults only: the short form, which everybody runs, is always
# the same one; the long form is a new one each time.
SEED = int(os.environ.get("TORTURE_SEED") or (random.randrange(1 << 32) if LONG else 7))
PARAMETERS, KILLS = (20_000, 20) if LONG else (3_000, 5)


@dataclass(frozen=True)
class Kill:
    """A SIGKILL for the engine: so many requests after the beginning of all, and a moment later."""

    requests: int
    moment_s: float


@dataclass(frozen=True)
class Count:
    """What the service's counters and the journal say at a moment when no engine runs."""

    good: int
    cut: int
    kept: int

    @property
    def wasted(self) -> int:
        """The requests that were carried out, or under way, and that nobody has the answer of."""
        return self.good - self.kept + self.cut


def kills(chance: random.Random) -> list[Kill]:
    """Draw the moments: all over the run, some right after the one before, in the start of the engine."""
    drawn = sorted(chance.randrange(int(PARAMETERS * 0.85)) for _ in range(KILLS))
    return [Kill(requests, chance.uniform(0.0, 0.5)) for requests in drawn]


def count(service: DemoService, todo: Job) -> Count:
    """Count once the service has noticed that the engine is gone."""
    while (stats := service.stats())["in_flight"]:
        time.sleep(0.05)
    faults, statuses = stats["by_fault"], stats["by_status"]
    kept = {record.index for record in records(todo) if record.kind is Kind.OK}
    return Count(
        good=statuses.get("200", 0) - faults.get("invalid", 0),
        cut=statuses.get("unanswered", 0) - faults.get("hang", 0) - faults.get("reset", 0),
        kept=len(kept),
    )


def records(todo: Job) -> Iterator[Any]:
    """Yield what the journal holds."""
    return iter(read_records(journal(ListDirectory(todo.directory))))


def kill(engine: EngineProcess, when: Kill, service: DemoService) -> None:
    """Kill the engine at its moment."""
    while service.stats()["requests"] < when.requests:
        time.sleep(0.02)
    time.sleep(when.moment_s)
    os.kill(engine.pid, signal.SIGKILL)


def killed(todo: Job, when: Kill, service: DemoService) -> Run:
    """Run an engine that is killed."""
    with EngineProcess(todo) as engine:
        killer = threading.Thread(target=kill, args=(engine, when, service))
        killer.start()
        found = listened(engine, todo)
        killer.join()
    return found


def in_a_second(service: DemoService) -> int:
    """Return the most requests of one of the last three seconds in which there were any."""
    return max((counts["requests"] for counts in list(by_second(service).values())[-3:]), default=0)


@pytest.fixture
def service() -> Iterator[DemoService]:
    """A service with all faults at once."""
    with DemoService.start(subscribers=PARAMETERS, seed=SEED % 1000, **FAULTS) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_torture(service: DemoService, tmp_path: Path, mongo_uri: str) -> None:
    """Every parameter has one outcome, `ok`, and one document; each kill costs at most what it must."""
    print(f"\nTORTURE_SEED={SEED}: {PARAMETERS:,} parameters, {KILLS} kills")
    begun = time.monotonic()
    todo = calls_of(service, tmp_path, PARAMETERS, HOW)
    before = Count(0, 0, 0)
    for when in kills(random.Random(SEED)):
        found = killed(todo, when, service)
        assert found.ended == "was killed by SIGKILL", found.said[-3:]
        after, most = count(service, todo), HOW.concurrency + in_a_second(service)
        print(f"killed at {after.kept:6,} ok: {after.wasted - before.wasted:4} asked again, at most {most}")
        assert after.wasted - before.wasted <= most
        before = after
    with EngineProcess(todo) as engine:
        last = listened(engine, todo)
    print(f"{last.last.what} after {time.monotonic() - begun:.0f} s: {last.progress.line()}")
    assert last.last.what == "done"
    assert_whole(todo, service, before)
    assert_loaded(todo, mongo_uri)


def assert_whole(todo: Job, service: DemoService, before: Count) -> None:
    """Check the journal against the list, and the service's counters against the journal."""
    directory = ListDirectory(todo.directory)
    results = Results(directory, read_manifest(directory))
    counting = list(results.records())
    assert not list(results.missing())
    assert len(counting) == len({record.index for record in counting}) == PARAMETERS
    assert {record.kind for record in counting} == {Kind.OK}
    end, asked, faults = count(service, todo), service.asked(), service.stats()["by_fault"]
    print(f"{sum(asked.values()):,} requests: {sum(faults.values()):,} faults {faults}, {end.wasted} for the kills")
    # What the service met as a fault is asked again anyway; nothing else is, but for the kills.
    assert end.wasted == before.wasted
    assert sum(asked.values()) == PARAMETERS + sum(faults.values()) + end.wasted


def assert_loaded(todo: Job, mongo_uri: str) -> None:
    """Load the results as the load task does; check that there is one document for each parameter."""
    directory = ListDirectory(todo.directory)
    manifest = read_manifest(directory)
    shape = Shape(key=("tel",), as_of=manifest.moment, document=parameter_and_result)
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client.torture[f"calls_{SEED}"]
        collection.drop()
        with encoded(Results(directory, manifest).records(), shape) as made:
            write(collection, made, run="torture", mode="upsert", patience_s=60.0)
        assert collection.count_documents({}) == len(collection.distinct("tel")) == PARAMETERS
        collection.drop()
