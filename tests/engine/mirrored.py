"""A fetch whose list is in an object storage, in this process, or as a program that a test kills with its disk."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from s3fs import S3FileSystem

from airflow_fanout.api.request import Request
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.mirror import mirrored
from airflow_fanout.launch.plan import Shard
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import Throttle
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.object_store import ObjectStore
from airflow_fanout.staging.objects import Objects
from tests.engine.harness import job, settings

PART_AGE_S = 0.5
# To a service of `tests.load.reports`.
ITEMS = Request(endpoint="/items/{id}")


def s3_list(options: Mapping[str, Any], root: str, key: str) -> ListDirectory:
    """Return a list on an S3 server, with a file system that gives up soon."""
    files = S3FileSystem(**options)
    files.retries = 1
    return ListDirectory(ObjectStore(Objects(files, root, f"s3://{root}")), key)


def job_of(
    directory: ListDirectory, url: str, rate_per_s: float | None = None, request: Request = ITEMS, **how: Any
) -> Job:
    """Return the job of asking a service for all items of a list."""
    return job(directory, request, url, settings(8, throttle=Throttle(adaptive=False, rate_per_s=rate_per_s), **how))


def fetch(directory: ListDirectory, todo: Job, warn: Callable[[str], None] = lambda _: None) -> Progress:
    """Run a fetch to its end."""
    manifest = read_manifest(directory)
    part = Shard(directory, manifest, 0, range(manifest.count))
    with mirrored(part, todo, warn, PART_AGE_S) as mirror:
        assert mirror is not None
        return Fetch(part, mirror.job, lambda _: None, upload=mirror.upload).run("the connection")


class Worker:
    """A fetch in a process of its own, with a disk of its own.

    :param options: those of the S3 server.
    :param url: the service.
    """

    def __init__(
        self,
        directory: ListDirectory,
        options: Mapping[str, Any],
        url: str,
        disk: Path,
        rate_per_s: float | None = None,
        request: Request = ITEMS,
    ) -> None:
        disk.mkdir()
        self._disk = disk
        store = directory.store
        wanted = {
            "options": dict(options),
            "root": store.address("").removeprefix("s3://").rstrip("/"),
            "key": directory.key,
            "url": url,
            "rate_per_s": rate_per_s,
            "request": request.template(),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.mirrored", json.dumps(wanted)],
            env={**os.environ, "TMPDIR": str(disk)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def lose(self) -> None:
        """Kill it and what it has started, as a machine that dies, and remove its disk."""
        everybody = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
        for each in everybody:
            each.send_signal(signal.SIGSTOP)
        for each in everybody:
            each.kill()
        self.process.communicate()
        shutil.rmtree(self._disk)


def main() -> None:
    """Do what the first argument says, as JSON; print the class of the error that ends it."""
    wanted = json.loads(sys.argv[1])
    directory = s3_list(wanted["options"], wanted["root"], wanted["key"])
    try:
        request = Request(**wanted["request"])
        fetch(directory, job_of(directory, wanted["url"], wanted["rate_per_s"], request))
    except Exception as error:  # noqa: BLE001 - the test says which one it wants
        print(type(error).__name__, flush=True)


if __name__ == "__main__":
    main()
