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
from typing import Any

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


def main() -> None:
    """Measure in rounds, and print the medians; with the argument `--sample`, take one sample."""
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description=__doc__)
    parser.add_argument("--parameters", type=int, default=300_000, help="how many requests (default: %(default)s)")
    parser.add_argument("--rate", type=float, help="how many per second (default: as many as possible)")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds (default: %(default)s)")
    parser.add_argument("--sample", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sample:
        print(sample(json.loads(options.sample)))
        return
    used: dict[str, list[float]] = {place: [] for place in PLACES}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        cores, program = Cores.of(os.sched_getaffinity(0)), compiled(Path(folder))
        with lean_server(program, core=cores.server) as url, S3Server.start(Path(folder) / "s3.log") as s3:
            wanted = {"url": url, "count": options.parameters, "rate": options.rate}
            for number in range(options.rounds):
                # Whatever else changes on the machine meets each of them as often.
                for place in PLACES if number % 2 else PLACES[::-1]:
                    used[place].append(_sampled({**wanted, "number": number, **_where(place, Path(folder), s3)}))
                print(number, {place: round(seconds[-1], 2) for place, seconds in used.items()}, flush=True)
    in_folder, in_s3 = (median(used[place]) for place in PLACES)
    paired = median(later - earlier for earlier, later in zip(*used.values(), strict=True))
    print(
        f"{options.parameters:,} requests: {in_folder:.2f} s of processor time in a folder, {in_s3:.2f} s in S3; "
        f"{paired:+.2f} s or {100 * paired / in_folder:+.1f} % by the median of the pairs"
    )


def _where(place: str, folder: Path, s3: S3Server) -> dict[str, Any]:
    return {"folder": str(folder)} if place == "folder" else {"s3": dict(s3.options)}


def _sampled(wanted: dict[str, Any]) -> float:
    command = [sys.executable, "-m", "bench.storage", "--sample", json.dumps(wanted)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def sample(wanted: dict[str, Any]) -> float:
    """Freeze a list, fetch it, and return the processor time of the fetch in seconds."""
    store = _store(wanted) if "folder" in wanted else None
    begun_s = _cpu_s()
    store = store or _store(wanted)
    opened_s = _cpu_s()
    part = _part(store, wanted)
    frozen_s = _cpu_s()
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
    return _cpu_s() - frozen_s + opened_s - begun_s


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


def _cpu_s() -> float:
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
