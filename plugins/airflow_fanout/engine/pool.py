"""The pool: long-lived greenlets that pull parameters, and leave exactly one record for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import gevent
from gevent.event import Event

from airflow_fanout.codec import Json
from airflow_fanout.engine.call_traffic import CallTraffic
from airflow_fanout.engine.driver import Driver, PartEnded, Parts
from airflow_fanout.engine.permits import RequestPermits
from airflow_fanout.engine.transport import Transport
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Outcome

# Makes a task's call.
Make = Callable[[Task, Callable[[Json], Outcome]], Outcome]

# How long the pool waits for workers that it has ended.
KILL_S = 1.0


class Pool(Driver):
    """Sends each request from a greenlet, by a transport that blocks until the answer is there.

    :param transport: makes one try of one parameter.
    :param make: makes the transport's calls, where they need more than to be called.
    :param permits: lets calls begin, and their requests through, if the transport asks it.
    :param parts: what every driver is given.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        make: Make | None = None,
        permits: RequestPermits | None = None,
        **parts: Unpack[Parts],
    ) -> None:
        super().__init__(repeatable=transport.repeatable, **parts)
        self._fetch = transport.fetch
        self._make: Make = make or (lambda task, fetch: fetch(task.parameter))
        self._permits = permits or RequestPermits(self._traffic, self._meter, self._settings.retry)
        self._permits.stop = self.stop
        self._workers: set[gevent.Greenlet] = set()
        self._has_ended = Event()
        self._failed: BaseException | None = None
        self._idle = 0
        self._given_up = False

    def run(self) -> None:
        """Fetch until all is done or the pool is stopped; an error in a worker is raised here."""
        self._hire()
        try:
            self._has_ended.wait()
            if self._failed is not None:
                raise self._failed
        finally:
            self._give_up()

    def _hire(self) -> None:
        """Begin another worker; one that waits for work is enough, and it begins the next when it has some."""
        worker = gevent.spawn(self._work_on)
        self._workers.add(worker)
        worker.link(self._leave)

    def _leave(self, worker: gevent.Greenlet) -> None:
        self._workers.discard(worker)
        if isinstance(worker.value, gevent.GreenletExit) and not self._given_up:
            self._failed = PartEnded()
        self._failed = self._failed or worker.exception
        if self._failed is not None or not self._workers:
            self._has_ended.set()

    def wake(self) -> None:
        """Look at the work again."""
        self._permits.wake()

    def _give_up(self) -> None:
        self._work.stop()
        self._permits.wake()
        self._given_up = True
        workers = list(self._workers)
        gevent.killall(workers, block=False)
        # A function with a bare `except:` in a loop would let nobody end who waits for it.
        gevent.joinall(workers, timeout=KILL_S)

    def _work_on(self) -> None:
        while taken := self._take():
            task, call = taken
            outcome = self._make(task, self._fetch)
            if self._given_up:
                # A function may have swallowed its own end and made something of it: that is no result.
                return
            self._permits.wake()
            if self._permits.is_request(call):
                self._settlement.add(outcome, call.begun_s, [(task, outcome)])
            else:
                self._settlement.add_call(task, outcome, call)

    def _take(self) -> tuple[Task, CallTraffic] | None:
        """Return the next task when its call may begin, and the call's requests; `None` if there is none."""
        task = None
        self._idle += 1
        while True:
            try:
                task = task or self._work.take()
                call = self._permits.admit(task.attempt, lambda: self._work.stopped) if task else None
                self._idle -= 1
                if call and not self._idle and len(self._workers) < self._settings.concurrency:
                    self._hire()
                return (task, call) if task and call else None
            except (gevent.GreenletExit, gevent.Timeout):
                # What an earlier call has left behind, a kill or a time limit, has struck while this worker waits. Were
                # the worker to end, nobody would make the call of its task.
                if self._given_up:
                    raise
