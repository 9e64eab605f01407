"""What staging in S3 costs a fetch in processor time, beside a folder: `python -m bench.storage`.

The same fetch of the lean server, each time in a fresh process: all that its engines and their parent use counts,
s3fs's import and each upload included. The server of S3, moto, runs in a process of its own and doesn't count.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.mirror import mirrored
from airflow_fanout.launch.plan import Shard
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.settings import FetchSettings, Throttle
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from airflow_fanout.staging.frozen import Selection, freeze
from airflow_fanout.staging.store import Store
from bench.machine import Cores
from bench.servers.lean import compiled, lean_server
from harness.s3 import S3Server

CONCURRENCY = 100
PLACES = ("folder", "S3")


class Used(NamedTuple):
    """Processor time in seconds: of the parent, and of the engines, its children."""

    parent_s: float
    engine_s: float

    def since(self, before: Used) -> Used:
        """Return what was used since an earlier moment."""
        return Used(round(self.parent_s - before.parent_s, 3), round(self.engine_s - before.engine_s, 3))


def main() -> None:
    """Measure in rounds, and print the medians; with the argument `--sample`, take one sample."""
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description=__doc__)
    parser.add_argument("--parameters", type=int, default=300_000, help="how many requests (default: %(default)s)")
    parser.add_argument("--rate", type=float, help="how many per second (default: as many as possible)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds (default: %(default)s)")
    parser.add_argument("--sample", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sample:
        print(json.dumps(sample(json.loads(options.sample))))
        return
    used: dict[str, list[Used]] = {place: [] for place in PLACES}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        cores, program = Cores.of(os.sched_getaffinity(0)), compiled(Path(folder))
        with lean_server(program, core=cores.server) as url, S3Server.start(Path(folder) / "s3.log") as s3:
            wanted = {"url": url, "count": options.parameters, "rate": options.rate}
            for number in range(options.rounds):
                # Whatever else changes on the machine meets each of them as often.
                for place in PLACES if number % 2 else PLACES[::-1]:
                    used[place].append(_sampled({**wanted, "number": number, **_where(place, Path(folder), s3)}))
                print(number, {place: samples[-1] for place, samples in used.items()}, flush=True)
    medians = {place: Used(*map(median, zip(*samples, strict=True))) for place, samples in used.items()}
    for place, of_place in medians.items():
        print(
            f"{place}: {of_place.parent_s:.2f} s of processor time in the parent, {of_place.engine_s:.2f} s in engines"
        )
    # What engines use differs from run to run by more than staging costs them: their work is the same.
    more_s = medians["S3"].parent_s - medians["folder"].parent_s
    all_s = sum(medians["folder"])
    print(f"{options.parameters:,} requests: S3 costs the parent {more_s:+.2f} s, {100 * more_s / all_s:+.1f} % of all")


def _where(place: str, folder: Path, s3: S3Server) -> dict[str, Any]:
    return {"folder": str(folder)} if place == "folder" else {"s3": dict(s3.options)}


def _sampled(wanted: dict[str, Any]) -> Used:
    command = [sys.executable, "-m", "bench.storage", "--sample", json.dumps(wanted)]
    return Used(*json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def sample(wanted: dict[str, Any]) -> Used:
    """Freeze a list, fetch it, and return the processor time of the fetch; freezing isn't counted."""
    begun = _used()
    store = _store(wanted)
    opened = _used()
    part = _part(store, wanted)
    frozen = _used()
    job = Job(
        directory=str(part.directory),
        start=0,
        stop=part.manifest.count,
        shard=0,
        generation=1,
        endpoint=Endpoint(base_url=wanted["url"]),
        request=Request(endpoint="/500/{number}"),
        function=None,
        settings=FetchSettings(concurrency=CONCURRENCY, processes=1, throttle=Throttle(rate_per_s=wanted["rate"])),
        path=tuple(sys.path),
    )
    with mirrored(part, job, lambda text: print(text, file=sys.stderr)) as mirror:
        job, upload = (job, None) if mirror is None else (mirror.job, mirror.upload)
        progress = Fetch(part, job, lambda _: None, upload=upload).run("the connection")
    if progress.kinds != {"ok": wanted["count"]}:
        raise AssertionError(f"outcomes: {dict(progress.kinds)}")
    fetching = _used().since(frozen)
    return Used(fetching.parent_s + opened.since(begun).parent_s, fetching.engine_s)


def _store(wanted: dict[str, Any]) -> Store:
    if "folder" in wanted:
        return FolderStore(Path(wanted["folder"]) / f"staging-{wanted['number']}", 0o700)
    # What a task loads for it is a part of the cost.
    from s3fs import S3FileSystem

    from airflow_fanout.staging.object_store import ObjectStore
    from airflow_fanout.staging.objects import Objects

    return ObjectStore(Objects(S3FileSystem(**wanted["s3"]), f"staging/{wanted['number']}", "s3://staging"))


def _part(store: Store, wanted: dict[str, Any]) -> Shard:
    directory = ReportDirectory.of(store, dag_id="bench", run_id="run", report="report").new_list()
    manifest = freeze(
        ({"number": number} for number in range(10_000, 10_000 + wanted["count"])),
        directory,
        as_of=AsOf(moment=datetime(2026, 1, 1, tzinfo=UTC), day="2026-01-01", source="logical_date"),
        names=(),
        duplicates="drop",
        selection=Selection(),
        shards=1,
    )
    return Shard(directory, manifest, 0, range(manifest.count))


def _used() -> Used:
    of_both = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Used(*(usage.ru_utime + usage.ru_stime for usage in of_both))


if __name__ == "__main__":
    main()
