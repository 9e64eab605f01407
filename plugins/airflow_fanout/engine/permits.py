"""Permits for the requests that functions send: each request waits for its own, and is counted when it has ended.

A call holds nothing while it sends nothing. So each request that has a permit comes to its end, and no call can keep
another one from going on. Requests of calls that have begun go before new calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from airflow_fanout.api.failures import outcome_of, outcome_of_answer
from airflow_fanout.control.breaker import is_down
from airflow_fanout.control.retry import without_too_long_a_pause
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.call_traffic import CALL, CallTraffic, current_call
from airflow_fanout.engine.home_thread import HomeThread
from airflow_fanout.engine.meter import Meter
from airflow_fanout.launch.stop_reasons import LongPause, StopReason
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Retry

if TYPE_CHECKING:
    import requests

# A call that sends nothing for this long after its beginning has lost its place in the rate.
FRESH_S = 0.05


class _Line:
    """Greenlets that wait for the same thing; one of them stands at the head, so that an end wakes one, not all."""

    def __init__(self) -> None:
        self.head = BoundedSemaphore(1)
        self._moved = Event()

    def wake(self) -> None:
        self._moved.set()

    def wait(self, wait_s: float) -> None:
        """Wait for so long, or until something has ended; for the one at the head."""
        self._moved.clear()
        self._moved.wait(None if wait_s == math.inf else wait_s)


class RequestPermits:
    """Lets calls begin, and lets their requests through.

    :param traffic: says when a request may be sent, and learns from each.
    :param meter: counts.
    :param retry: says which pauses are too long to wait for.

    `stop` is called with the reason when the rest is not to be sent.
    """

    def __init__(self, traffic: Traffic, meter: Meter, retry: Retry) -> None:
        self._traffic = traffic
        self._meter = meter
        self._retry = retry
        self._home = HomeThread()
        self._calls, self._requests = _Line(), _Line()
        self._waiting = 0
        self._are_used = False
        self._foreign = 0
        # Calls whose permit isn't used yet.
        self._unused: set[CallTraffic] = set()
        self.stop: Callable[[StopReason], None] = lambda _reason: None

    def wake(self) -> None:
        """Look at the traffic again: something has ended."""
        self._calls.wake()
        self._requests.wake()

    def admit(self, attempt: int, is_over: Callable[[], bool]) -> CallTraffic | None:
        """Wait until a call may begin, in this greenlet; `None` when none may any more.

        Its first request has a permit from the beginning, as long as no session has sent anything yet: nobody knows
        whether the function sends by its session at all.
        """
        with self._calls.head:
            while not is_over():
                now = time.monotonic()
                wait_s = math.inf if self._waiting else self._traffic.wait_s(now)
                if wait_s == 0.0:
                    call = CallTraffic(attempt=attempt, begun_s=now, foreign_before=self._foreign)
                    if not self._are_used:
                        self._traffic.begin(now)
                        call.permit_s = now
                        self._unused.add(call)
                    gevent.getcurrent().spawn_tree_locals = {CALL: call}
                    return call
                self._calls.wait(wait_s)
        return None

    def is_request(self, call: CallTraffic) -> bool:
        """Return whether a call that has ended was a request by itself, and is to be counted as one.

        It is if nothing was sent by its session: by whatever else it may have sent something.
        """
        if call.requests:
            return False
        self._unused.discard(call)
        if self._foreign > call.foreign_before:
            if call.permit_s is not None:
                self._traffic.abandon()
            return False
        if call.permit_s is None:
            self._traffic.begin(time.monotonic())
        return True

    @property
    def is_foreign(self) -> bool:
        """Whether the caller runs in a thread of the operating system's that a function has started."""
        return not self._home.is_here

    def fetch_whole(self, send: Callable[[], requests.Response]) -> requests.Response:
        """Send a request for such a thread, and read all of its answer.

        Nobody knows whose call has started the thread.
        """

        def fetch() -> requests.Response:
            self._foreign += 1
            response = send()
            response.content  # noqa: B018 - reading it is what is wanted
            return response

        return self._home.take(fetch)

    def send(self, send: Callable[[], requests.Response]) -> requests.Response:
        """Wait until a request may be sent, send it, and note what has come of it."""
        call = current_call() or CallTraffic(begun_s=time.monotonic())
        begun_s = self._begin(call)
        try:
            response = send()
        except BaseException as error:
            self._end(call, _outcome_of(error), begun_s)
            raise
        self._end(call, outcome_of_answer(response), begun_s)
        return response

    def _begin(self, call: CallTraffic) -> float:
        """Wait until a call's next request may be sent; return the moment."""
        self._are_used = True
        now = time.monotonic()
        holder = call
        if call.attempt is None and self._unused:
            # Of whichever call: it may be the one that waits for this request.
            holder = next(iter(self._unused))
        if holder.permit_s is not None:
            self._unused.remove(holder)
            is_fresh = now - holder.permit_s <= FRESH_S
            holder.permit_s = None
            if is_fresh:
                return now
            self._traffic.abandon()
            self.wake()
        if self._waiting or self._traffic.wait_s(now):
            with call.limit.suspended() if call.limit else nullcontext():
                begun_s = self._wait()
            call.waited_s += begun_s - now
            return begun_s
        self._traffic.begin(now)
        return now

    def _wait(self) -> float:
        self._waiting += 1
        try:
            with self._requests.head:
                while wait_s := self._traffic.wait_s(now := time.monotonic()):
                    self._requests.wait(wait_s)
                self._traffic.begin(now)
                return now
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._calls.wake()

    def _end(self, call: CallTraffic, outcome: Outcome | None, begun_s: float) -> None:
        """Note what has come of a request; nothing, if it was given up or never left."""
        now = time.monotonic()
        ms = (now - begun_s) * 1000
        call.requests += 1
        self._meter.sent(ms)
        self.wake()
        if outcome is None:
            self._traffic.abandon()
            return
        bounded = without_too_long_a_pause(outcome, self._retry)
        is_unanswered = is_down(outcome)
        # An outage is noticed by parameters' first attempts. A function that asks again and again is one of them.
        attempt = 2 if call.attempt is None else call.attempt + call.is_unanswered
        counts = self._traffic.end_of_part(bounded, attempt=attempt, ms=ms, now_s=now)
        if is_unanswered:
            call.is_unanswered, call.counts = True, counts
        if (asked_s := bounded.retry_after_s or 0.0) > self._retry.max_retry_after_s:
            # The call may be about to wait for that moment in its next request.
            self.stop(LongPause(asked_s))


def _outcome_of(error: BaseException) -> Outcome | None:
    """Return what an exception says of the server; `None` if that is nothing."""
    if isinstance(error, gevent.Timeout):
        return Outcome(Kind.TIMEOUT)
    if not isinstance(error, Exception):
        return None
    outcome = outcome_of(error)
    return None if outcome.kind is Kind.ERROR else outcome
