"""One engine's life: read the job, fetch, tell."""

from __future__ import annotations

import os
import resource
import signal
import traceback
from collections.abc import Iterator
from typing import Any

import cloudpickle
import gevent

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.engine.job import Job
from airflow_fanout.engine.limits import allow_files
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.parentage import end_with_parent
from airflow_fanout.engine.pool import Pool
from airflow_fanout.engine.transport import Transport
from airflow_fanout.engine.transport.by_function import FunctionTransport
from airflow_fanout.engine.transport.by_requests import RequestsTransport
from airflow_fanout.engine.work import Work
from airflow_fanout.reconcile import Done, done
from airflow_fanout.session import FanoutSession
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_manifest, read_parameters
from airflow_fanout.staging.journal import JournalWriter, read_records

TICK_S = 1.0
# After SIGTERM, requests under way may still end for so long. The parent's patience is longer.
GRACE_S = 2.0


class Teller:
    """Tells the parent what happens: a JSON line for each message."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def tell(self, what: str, value: Any) -> None:
        """Send one message."""
        # Short enough for a pipe to take it in one piece, and the parent reads all the time.
        os.write(self._pipe, codec.encode([what, value]) + b"\n")


def run(line: bytes, job_pipe: int, told_pipe: int) -> int:
    """Do the job that a line tells; return the process's exit code."""
    teller = Teller(told_pipe)
    end_with_parent(job_pipe)
    try:
        return _Fetch(Job.decode(line), teller).run()
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        details = "".join(traceback.format_exception(error)[-8:])
        teller.tell("failed", {"kind": type(error).__name__, "message": str(error), "details": details})
        return os.EX_SOFTWARE


class _Fetch:
    """The parts of one fetch, put together."""

    def __init__(self, job: Job, teller: Teller) -> None:
        allow_files(job.settings.concurrency, resource.getrlimit, resource.setrlimit)
        directory = ListDirectory(job.directory)
        generation = directory.shard(job.shard).generation(job.generation)
        finished = done(read_records(generation), job.indexes)
        self._teller = teller
        self._journal = JournalWriter(generation.new_try())
        self._stopped = False
        self._pool = Pool(
            work=Work(_to_do(directory, job.indexes, finished)),
            transport=transport_for(job, read_manifest(directory).fields),
            settings=job.settings,
            meter=Meter(total=len(job.indexes), resumed=finished.count),
            write=self._journal.append,
        )

    def run(self) -> int:
        gevent.signal_handler(signal.SIGTERM, self._stop)
        ticker = gevent.spawn(self._tick)
        try:
            self._pool.run()
        finally:
            ticker.kill()
            self._journal.close()
        self._teller.tell("stopped" if self._stopped else "done", self._pool.progress().as_json())
        return os.EX_TEMPFAIL if self._stopped else os.EX_OK

    def _stop(self) -> None:
        self._stopped = True
        self._pool.stop(GRACE_S)

    def _tick(self) -> None:
        while True:
            gevent.sleep(TICK_S)
            self._journal.flush()
            self._teller.tell("progress", self._pool.progress().as_json())


def _to_do(directory: ListDirectory, indexes: range, finished: Done) -> Iterator[tuple[int, Json]]:
    return ((index, value) for index, value in read_parameters(directory, indexes) if index not in finished)


def transport_for(job: Job, known: tuple[str, ...]) -> Transport:
    """Return the transport that the job's request needs."""
    session = FanoutSession(job.endpoint, job.settings)
    total_s = job.settings.timeouts.total_s
    if job.request is not None:
        return RequestsTransport(session, job.request, known, total_s)
    return FunctionTransport(session, cloudpickle.loads(job.function), total_s)
