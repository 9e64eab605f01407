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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import Finished
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import FetchSettings, Throttle, Timeouts
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.shape import Shape, parameter_and_result
from airflow_fanout.mongo.write import write
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.journal import read_records
from airflow_fanout.staging.results import Results
from harness.service import DemoService
from tests.engine.harness import Run, journal, listened
from tests.torture.fetches import LONG, calls_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_fanout.launch.job import Job

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
HOW = FetchSettings(timeouts=Timeouts(total_s=0.5), throttle=Throttle(min_concurrency=16))
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
    return iter(read_records(journal(list_at(todo.directory))))


class Killer(threading.Thread):
    """Kills an engine at its moment, and sees how many requests there were when its journal grew for the last time.

    What an engine has answers of it writes each half second; how long a half second is depends on how busy the machine
    is, and the journal's files say when it was over.
    """

    def __init__(self, engine: EngineProcess, when: Kill, service: DemoService, folder: Path) -> None:
        super().__init__()
        self._engine, self._when, self._service, self._folder = engine, when, service, folder
        self._size = self._written()
        self._before = [service.stats()["requests"]] * 2
        self.unwritten = self._before[0]

    def run(self) -> None:
        """Kill the engine."""
        while (requests := self._look()) < self._when.requests:
            time.sleep(0.02)
        until = time.monotonic() + self._when.moment_s
        while time.monotonic() < until:
            requests = self._look()
            time.sleep(0.02)
        os.kill(self._engine.pid, signal.SIGKILL)
        requests = self._service.stats()["requests"]
        self.unwritten = requests - self.unwritten

    def _look(self) -> int:
        if (size := self._written()) != self._size:
            # Taken before it was written, and written before it was seen.
            self._size, self.unwritten = size, self._before[0]
        self._before = [self._before[1], int(self._service.stats()["requests"])]
        return self._before[1]

    def _written(self) -> int:
        return sum(part.stat().st_size for part in self._folder.rglob("part-*"))


def killed(todo: Job, when: Kill, service: DemoService) -> tuple[Run, int]:
    """Run an engine that is killed; return also how many requests came after what its journal has."""
    with EngineProcess(todo) as engine:
        killer = Killer(engine, when, service, Path(todo.directory))
        killer.start()
        found = listened(engine, todo)
        killer.join()
    return found, killer.unwritten


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
        found, unwritten = killed(todo, when, service)
        assert found.ended == "was killed by SIGKILL", found.said[-3:]
        after, most = count(service, todo), HOW.concurrency + unwritten
        print(f"killed at {after.kept:6,} ok: {after.wasted - before.wasted:4} asked again, at most {most}")
        assert after.wasted - before.wasted <= most
        before = after
    with EngineProcess(todo) as engine:
        last = listened(engine, todo)
    print(f"{last.reason} after {time.monotonic() - begun:.0f} s: {last.progress.line()}")
    assert last.reason == Finished()
    assert_whole(todo, service, before)
    assert_loaded(todo, mongo_uri)


def assert_whole(todo: Job, service: DemoService, before: Count) -> None:
    """Check the journal against the list, and the service's counters against the journal."""
    directory = list_at(todo.directory)
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
    directory = list_at(todo.directory)
    manifest = read_manifest(directory)
    shape = Shape(key=("tel",), as_of=manifest.moment, document=parameter_and_result)
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client.torture[f"calls_{SEED}"]
        collection.drop()
        with encoded(Results(directory, manifest).records(), shape) as made:
            write(collection, made, run="torture", mode="upsert", timeout_s=60.0)
        assert collection.count_documents({}) == len(collection.distinct("tel")) == PARAMETERS
        collection.drop()
