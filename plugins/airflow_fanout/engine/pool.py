"""The pool: a fixed number of long-lived greenlets that pull parameters and leave exactly one record for each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import gevent

from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.transport import Transport
from airflow_fanout.engine.work import Task, Work
from airflow_fanout.outcome import Outcome, Record
from airflow_fanout.progress import Progress
from airflow_fanout.retry import wait_s
from airflow_fanout.settings import FetchSettings

Write = Callable[[Record], None]
# How long the pool waits for workers that it has ended.
KILL_S = 1.0


class Pool:
    """Fetches all of the work."""

    def __init__(
        self,
        *,
        work: Work,
        transport: Transport,
        settings: FetchSettings,
        meter: Meter,
        write: Write,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._work = work
        self._transport = transport
        self._settings = settings
        self._meter = meter
        self._write = write
        self._uniform = uniform
        self._workers: list[gevent.Greenlet] = []
        self._given_up = False

    def run(self) -> None:
        """Fetch until all is done or the pool is stopped; an error in a worker is raised here."""
        self._workers = [gevent.spawn(self._work_on) for _ in range(self._settings.concurrency)]
        try:
            for worker in gevent.iwait(self._workers):
                worker.get()
        finally:
            self._give_up()

    def stop(self, grace_s: float) -> None:
        """Take no more work, and give up what is still under way after the grace, in seconds."""
        self._work.stop()
        gevent.joinall(self._workers, timeout=grace_s)
        self._give_up()

    def _give_up(self) -> None:
        self._work.stop()
        self._given_up = True
        gevent.killall(self._workers, block=False)
        # A function with a bare `except:` in a loop would let nobody end who waits for it.
        gevent.joinall(self._workers, timeout=KILL_S)

    def progress(self) -> Progress:
        """Return what is done so far."""
        return self._meter.progress(in_flight=self._work.in_flight, waiting=self._work.waiting)

    def _work_on(self) -> None:
        while task := self._work.take():
            begun = time.monotonic()
            outcome = self._transport.fetch(task.parameter)
            ms = (time.monotonic() - begun) * 1000
            if self._given_up:
                # A function may have swallowed its own end and made something of it: that is no result.
                return
            self._meter.sent(ms)
            self._settle(task, outcome, ms)

    def _settle(self, task: Task, outcome: Outcome, ms: float) -> None:
        wait = wait_s(
            outcome,
            attempt=task.attempt,
            policy=self._settings.retry,
            repeatable=self._transport.repeatable,
            uniform=self._uniform,
        )
        if wait is not None:
            self._work.again(task, wait)
            return
        self._write(Record(task.index, task.parameter, outcome, task.attempt, ms))
        self._meter.ended(outcome.kind)
        self._work.finish()
