"""The whole engine as the fetch operator runs it, in a fresh process: `python -m bench.engine JSON JSON`.

Throttle, retries, breaker and journal are as they come. What it is asked and how comes as JSON; its sample is
printed as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Literal

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.messages import Ended, Failed
from airflow_fanout.launch.shipping import pack
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import FetchSettings, Transport
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import Selection, freeze
from bench.asked import Asked
from bench.sample import Sample, peak_mb

if TYPE_CHECKING:
    import requests

LOOK_S = 0.05


@dataclass(frozen=True, kw_only=True)
class How:
    """How the engine sends: a declarative request by a transport, or a function; by how many processes."""

    sends: Literal["request", "function"] = "request"
    transport: Transport = "curl"
    processes: int = 1

    def settings(self, concurrency: int) -> FetchSettings:
        """Return the settings, as they come in all but this."""
        return FetchSettings(concurrency=concurrency, transport=self.transport, processes=self.processes)


def main() -> None:
    """Measure one fetch."""
    asked, how = Asked(**json.loads(sys.argv[1])), How(**json.loads(sys.argv[2]))
    print(json.dumps(sample(asked, how).as_json()))


def sample(asked: Asked, how: How) -> Sample:
    """Run the engine over a frozen list; raise AssertionError unless every outcome is good.

    The processor time is that of the engine and of who listens to it, less that of an engine with one parameter.
    """
    start_s = _fetched(_one(asked), how).cpu_s
    done = _fetched(asked, how)
    return Sample(
        requests=asked.count,
        seconds=done.progress.seconds,
        started_s=done.seconds,
        cpu_s=done.cpu_s - start_s,
        peak_mb=done.peak_mb,
        p50_ms=done.progress.latency.quantile(0.5),
        p99_ms=done.progress.latency.quantile(0.99),
    )


def get_json(session: requests.Session, number: int) -> Any:
    """Return an answer's JSON: the function of the cases that fetch by a function."""
    return session.get(f"/{number}").json()


@dataclass(frozen=True)
class _Fetched:
    progress: Progress
    seconds: float
    cpu_s: float
    peak_mb: float


def _one(asked: Asked) -> Asked:
    return Asked(**{**asdict(asked), "count": 1})


def _fetched(asked: Asked, how: How) -> _Fetched:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        job = _job(_frozen(Path(folder), asked), asked, how)
        cpu_s, begun = _cpu_s(), time.perf_counter()
        with Engines(job) as fleet, _watched(fleet.pids) as peak:
            ends = [message for message in fleet.listen() if isinstance(message, Ended | Failed)]
        seconds = time.perf_counter() - begun
        progress = progress_at_end(ends[-1] if ends else None, fleet)
        if progress.kinds != {"ok": asked.count}:
            raise AssertionError(f"outcomes of {asked.count} requests: {dict(progress.kinds)}")
        return _Fetched(progress, seconds, _cpu_s() - cpu_s, peak[0])


def _frozen(folder: Path, asked: Asked) -> ListDirectory:
    directory = ReportDirectory.of(FolderStore(folder), dag_id="bench", run_id="run", report="report").new_list()
    freeze(
        ({"number": number} for number in asked.ids),
        directory,
        as_of=AsOf(moment=datetime(2026, 1, 1, tzinfo=UTC), day="2026-01-01", source="logical_date"),
        names=(),
        duplicates="drop",
        selection=Selection(),
        shards=1,
    )
    return directory


def _job(directory: ListDirectory, asked: Asked, how: How) -> Job:
    return Job(
        directory=str(directory),
        start=0,
        stop=asked.count,
        shard=0,
        generation=1,
        endpoint=Endpoint(base_url=asked.base, verify=asked.authority or True),
        request=Request(endpoint="/{number}") if how.sends == "request" else None,
        function=pack(get_json) if how.sends == "function" else None,
        settings=how.settings(asked.concurrency),
        path=tuple(sys.path),
    )


def _cpu_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def _watched(pids: Sequence[int]) -> Iterator[list[float]]:
    """Give a list whose one element is the peak memory of these processes together, in MB."""
    peak, over = [0.0], Event()

    def watch() -> None:
        # By their numbers: to look for children among all processes took one part in thirty of the engine's own time.
        while not over.wait(LOOK_S):
            peak[0] = max(peak[0], sum(map(peak_mb, pids)))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    main()
