"""The pool: long-lived greenlets that pull parameters, and leave exactly one record for each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from airflow_fanout.breaker import Tripped
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.traffic import Traffic
from airflow_fanout.engine.transport import Transport
from airflow_fanout.engine.work import Task, Work
from airflow_fanout.outcome import Outcome, Record
from airflow_fanout.progress import Progress
from airflow_fanout.retry import Again, Budget, Verdict, decide
from airflow_fanout.settings import FetchSettings

Write = Callable[[Record], None]

# When the pool stops by itself, requests under way may still end for so long.
GRACE_S = 2.0
# How long the pool waits for workers that it has ended.
KILL_S = 1.0


@dataclass(frozen=True)
class Stop:
    """Why the pool ended before its work did.

    :param why: "stopped" (asked to), "tripped" (the rest is doomed), "wait" (the server wants a long pause) or
        "superseded" (a newer try has begun).
    :param value: what there is to say of it, as plain JSON.
    """

    why: str
    value: dict[str, Any]


class Pool:
    """Fetches all of the work.

    :param work: gives out the parameters.
    :param traffic: says when a request may be sent.
    :param transport: makes one try of one parameter.
    :param settings: how to fetch.
    :param meter: counts.
    :param write: takes the record of each parameter that has ended.
    :param uniform: draws evenly from a range; for the waits before retries.
    """

    def __init__(
        self,
        *,
        work: Work,
        traffic: Traffic,
        transport: Transport,
        settings: FetchSettings,
        meter: Meter,
        write: Write,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._work = work
        self._traffic = traffic
        self._transport = transport
        self._settings = settings
        self._meter = meter
        self._write = write
        self._uniform = uniform
        self._budget = Budget(settings.retry.budget)
        self._turn = BoundedSemaphore(1)
        self._moved = Event()
        self._workers: list[gevent.Greenlet] = []
        self._given_up = False
        self.stop_reason: Stop | None = None

    def run(self) -> None:
        """Fetch until all is done or the pool is stopped; an error in a worker is raised here."""
        self._workers = [gevent.spawn(self._work_on) for _ in range(self._settings.concurrency)]
        try:
            for worker in gevent.iwait(self._workers):
                worker.get()
        finally:
            self._give_up()

    def stop(self, reason: Stop, grace_s: float = GRACE_S) -> None:
        """Take no more work, and give up what is under way after the grace, in seconds; the first reason counts."""
        if self.stop_reason is not None:
            return
        self.stop_reason = reason
        self._work.stop()
        self._moved.set()
        gevent.spawn_later(grace_s, self._give_up)

    def _give_up(self) -> None:
        self._work.stop()
        self._moved.set()
        self._given_up = True
        gevent.killall(self._workers, block=False)
        # A function with a bare `except:` in a loop would let nobody end who waits for it.
        gevent.joinall(self._workers, timeout=KILL_S)

    def progress(self) -> Progress:
        """Return what is done so far."""
        return self._meter.progress(
            in_flight=self._traffic.in_flight,
            waiting=self._work.waiting,
            limits=self._traffic.state(time.monotonic()),
        )

    def tick(self) -> None:
        """Look at what only time brings about; called about once a second."""
        now = time.monotonic()
        self._traffic.tick(now, self._meter.seconds)
        if tripped := self._traffic.given_up(now):
            self._trip(tripped)

    def _work_on(self) -> None:
        while (task := self._work.take()) and self._admit():
            begun = time.monotonic()
            outcome = self._transport.fetch(task.parameter)
            if self._given_up:
                # A function may have swallowed its own end and made something of it: that is no result.
                return
            now = time.monotonic()
            ms = (now - begun) * 1000
            self._meter.sent(ms)
            self._budget.sent()
            counts = self._traffic.end(outcome, attempt=task.attempt, ms=ms, now_s=now)
            self._moved.set()
            self._settle(task, outcome, ms, counts=counts)

    def _admit(self) -> bool:
        # One greenlet stands at the gate, the others in line behind it: an end wakes one, not all of them.
        with self._turn:
            while not self._work.stopped:
                now = time.monotonic()
                wait = self._traffic.wait_s(now)
                if wait == 0.0:
                    self._traffic.begin(now)
                    return True
                self._moved.clear()
                self._moved.wait(None if wait == float("inf") else wait)
        return False

    def _settle(self, task: Task, outcome: Outcome, ms: float, *, counts: bool) -> None:
        if not counts and not self._is_long(outcome):
            self._work.again(task, 0.0, counts=False)
            return
        decision = self._decide(task, outcome)
        if isinstance(decision, Again):
            self._work.again(task, decision.wait_s)
        elif decision is Verdict.HAND_BACK:
            self._work.again(task, 0.0, counts=False)
            self._hand_back(outcome)
        elif decision is Verdict.LATER and self._work.leave(task):
            # It has failed, whatever the last pass brings: the canary and the breaker don't wait for that.
            self._judge(outcome)
        else:
            self._end(task, outcome, ms)

    def _decide(self, task: Task, outcome: Outcome) -> Again | Verdict:
        decision = decide(
            outcome,
            attempt=task.attempt,
            policy=self._settings.retry,
            repeatable=self._transport.repeatable,
            budget=self._budget,
            uniform=self._uniform,
        )
        return Verdict.FINAL if task.last and decision is not Verdict.HAND_BACK else decision

    def _end(self, task: Task, outcome: Outcome, ms: float) -> None:
        self._write(Record(task.index, task.parameter, outcome, task.attempt, ms))
        self._meter.ended(outcome.kind)
        self._work.finish()
        if not task.last:
            self._judge(outcome)
        if self._is_long(outcome):
            self._hand_back(outcome)

    def _is_long(self, outcome: Outcome) -> bool:
        return (outcome.retry_after_s or 0.0) > self._settings.retry.longest_s

    def _judge(self, outcome: Outcome) -> None:
        if tripped := self._traffic.settle(outcome):
            self._trip(tripped)

    def _trip(self, tripped: Tripped) -> None:
        self.stop(Stop("tripped", dict(tripped.__dict__)))

    def _hand_back(self, outcome: Outcome) -> None:
        self.stop(Stop("wait", {"seconds": outcome.retry_after_s}))
