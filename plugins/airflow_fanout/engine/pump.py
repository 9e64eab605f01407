"""The pump: declarative requests by libcurl on gevent's loop, without a greenlet for each.

It takes what has ended in a batch, starts as many requests on the handles that are free, and lets libcurl send them all
with one call.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeAlias, Unpack

import gevent
import pycurl

from airflow_fanout.api.failures import outcome_of
from airflow_fanout.engine.driver import Driver, Parts
from airflow_fanout.engine.libcurl.alarm import Alarm
from airflow_fanout.engine.libcurl.multi import BATCH, Multi
from airflow_fanout.engine.libcurl.silence import look_every_s
from airflow_fanout.engine.libcurl.transfer import Transfer
from airflow_fanout.engine.settlement import Attempt
from airflow_fanout.engine.steps import Elsewhere
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.engine.transport.by_curl import CurlTransport
from airflow_fanout.engine.transport.by_requests import RequestsTransport
from airflow_fanout.engine.work import Task

# A request under way: its task, its handle, and when it was begun.
Sent: TypeAlias = tuple[Task, Transfer, float]


class Pump(Driver):
    """Sends all requests by one set of libcurl's handles, as many as there are requests at once.

    :param transport: tells handles what to send, and reads answers.
    :param others: follows redirects, which libcurl isn't asked to.
    :param note: takes a word about what others are asked to do.
    :param multi: makes libcurl's set of handles.
    :param parts: what every driver is given.
    """

    def __init__(
        self,
        *,
        transport: CurlTransport,
        others: RequestsTransport,
        note: Callable[[str], None],
        multi: Callable[[], Any] = pycurl.CurlMulti,
        **parts: Unpack[Parts],
    ) -> None:
        super().__init__(repeatable=transport.repeatable, **parts)
        self._transport = transport
        self._others = others
        self._note = note
        self._multi = Multi(self._settings.concurrency, multi)
        self._alarm = Alarm(self._multi.fileno())
        self._free: list[Transfer] = []
        self._sent: dict[pycurl.Curl, Sent] = {}
        self._following: set[gevent.Greenlet] = set()
        self._has_followed = False
        self._failed: BaseException | None = None
        self._look_s = look_every_s(self._settings.timeouts.read_s)
        self._next_look_s = -math.inf
        self._given_up = False

    def run(self) -> None:
        """Fetch until all is done or the pump is stopped; an error of the engine's own is raised here."""
        pause_s = 0.0
        try:
            while not self._is_over():
                self._alarm.wait(pause_s)
                if self._given_up:
                    break
                # All that can be done now is done; then there is nothing more for a while, unless a socket is ready.
                turn = self._multi.turn(len(self._sent), self._collect, self._start)
                if turn.ended or (turn.has_read_all and self._look_for_silence()):
                    pause_s = 0.0
                else:
                    pause_s = min(turn.pause_s, self._multi.timeout_s(), self._look_s if self._sent else math.inf)
            if self._failed is not None:
                raise self._failed
        finally:
            self._work.stop()
            self._close()

    def wake(self) -> None:
        """Look at the work again."""
        self._alarm.ring()

    def _give_up(self) -> None:
        self._work.stop()
        self._given_up = True
        self._alarm.ring()

    def _is_over(self) -> bool:
        if self._given_up or self._failed is not None:
            return True
        is_idle = not self._sent and not self._following
        return is_idle and (self._work.stopped or self._work.is_over())

    def _close(self) -> None:
        gevent.killall(self._following, block=False)
        for easy in self._sent:
            self._multi.remove(easy)
        self._alarm.close()
        self._multi.close()
        for transfer in (*self._free, *(transfer for _, transfer, _ in self._sent.values())):
            transfer.easy.close()
        self._free.clear()
        self._sent.clear()

    def _start(self) -> tuple[int, float]:
        """Start what may be sent; return how many requests, and when there may be more, in seconds."""
        started = 0
        while started < BATCH:
            now = time.monotonic()
            if self._work.stopped:
                return started, math.inf
            if wait_s := self._traffic.wait_s(now):
                return started, wait_s
            tasks = self._work.poll(min(self._traffic.room, BATCH - started))
            if not tasks:
                return started, 0.0 if self._is_over() else self._work.due_s()
            self._traffic.begin(now, len(tasks))
            for task in tasks:
                self._send(task, now)
            started += len(tasks)
        return started, 0.0

    def _send(self, task: Task, now_s: float) -> None:
        if self._free:
            transfer = self._free.pop()
        else:
            transfer = self._transport.new_transfer()
            self._multi.know(transfer)
        try:
            self._transport.prepare(transfer, task)
        except Elsewhere:
            self._free.append(transfer)
            self._watch(gevent.spawn(self._sent_elsewhere, task, now_s))
            return
        except ValueError as error:
            self._free.append(transfer)
            outcome = outcome_of(error)
            self._settlement.add(outcome, now_s, [(task, outcome)])
            return
        self._sent[transfer.easy] = (task, transfer, now_s)
        self._multi.add(transfer.easy)

    def _collect(self) -> int:
        """Settle all that has ended; return how many requests."""
        ended = 0
        for answered, failed in self._multi.ended():
            attempts = [self._end(easy, 0, "") for easy in answered] + [self._end(*failure) for failure in failed]
            self._settlement.add_all(list(filter(None, attempts)))
            ended += len(attempts)
        return ended

    def _end(self, easy: pycurl.Curl, code: int, message: str) -> Attempt | None:
        task, transfer, begun_s = self._sent.pop(easy)
        outcome = self._transport.outcome(transfer, code, message)
        if outcome is None:
            self._follow(task, begun_s, transfer)
            self._release(transfer)
            return None
        self._release(transfer)
        if code and self._traffic.startup.is_on:
            # Whether the fetch ends because of it is worth a question to the name service.
            outcome = self._transport.checked(outcome)
        return Attempt(task, outcome, begun_s)

    def _release(self, transfer: Transfer) -> None:
        if transfer.is_soiled:
            self._multi.soil(transfer.easy)
        # If it hasn't ended, this closes its connection, too, on which its answer may still come.
        self._multi.remove(transfer.easy)
        # A free handle keeps no answer: a hundred large ones would be a lot of memory.
        transfer.clear()
        self._free.append(transfer)

    def _look_for_silence(self) -> int:
        """Settle the requests whose server says nothing for too long; return how many."""
        now = time.monotonic()
        if now < self._next_look_s:
            return 0
        self._next_look_s = now + self._look_s
        self._multi.check()
        silent = 0
        for easy, (task, transfer, begun_s) in tuple(self._sent.items()):
            if outcome := self._transport.silent(transfer, begun_s, now):
                del self._sent[easy]
                self._release(transfer)
                self._settlement.add(outcome, begun_s, [(task, outcome)])
                silent += 1
        return silent

    def _follow(self, task: Task, begun_s: float, transfer: Transfer) -> None:
        """Follow a redirect in a greenlet, which keeps what it says: the handle is used for something else."""
        if not self._has_followed:
            self._has_followed = True
            self._note("The API answers with redirects, which the slower `requests` library follows.")
        self._watch(gevent.spawn(self._followed, task, begun_s, transfer.status, transfer.head))

    def _watch(self, follower: gevent.Greenlet) -> None:
        self._following.add(follower)
        follower.link(self._has_come_back)

    def _has_come_back(self, follower: Any) -> None:
        self._following.discard(follower)
        self._failed = self._failed or follower.exception
        self._alarm.ring()

    def _followed(self, task: Task, begun_s: float, status: int, head: list[bytes]) -> None:
        total_s = self._settings.timeouts.total_s
        left_s = begun_s + total_s - time.monotonic()
        outcome = self._others.follow(task, status, head, left_s) if left_s > 0 else timed_out(total_s)
        if not self._given_up:
            self._settlement.add(outcome, begun_s, [(task, outcome)])

    def _sent_elsewhere(self, task: Task, begun_s: float) -> None:
        """Send a request to another origin, by a session that knows whose credentials are whose."""
        outcome = self._others.send(task)
        if not self._given_up:
            self._settlement.add(outcome, begun_s, [(task, outcome)])
