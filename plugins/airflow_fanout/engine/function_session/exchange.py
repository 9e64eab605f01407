"""libcurl for greenlets: each hands over a transfer and waits; one pump moves the transfers of all of them."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Any

import gevent
import msgspec
import pycurl
from gevent import get_hub, getcurrent
from gevent.lock import Semaphore

from airflow_fanout.engine.libcurl.alarm import Alarm
from airflow_fanout.engine.libcurl.multi import Multi
from airflow_fanout.engine.libcurl.silence import is_silent, look_every_s
from airflow_fanout.engine.libcurl.transfer import Transfer, Unreadable


class TransferEnd(msgspec.Struct, frozen=True):
    """How a transfer has ended: libcurl's code, 0 for an answer, and its words."""

    code: int
    message: str = ""


class Exchange:
    """A transfer under way, and the greenlet that waits for its end.

    :param transfer: the handle, told what to send.
    :param read_s: how long the server may be silent, in seconds.
    """

    __slots__ = ("begun_s", "ended", "read_s", "transfer", "waiting")

    def __init__(self, transfer: Transfer, *, read_s: float) -> None:
        self.transfer = transfer
        self.read_s = read_s
        self.begun_s = time.monotonic()
        self.ended: TransferEnd | BaseException | None = None
        self.waiting: Any = getcurrent()

    def wake(self) -> None:
        """Switch to the greenlet, if it still waits."""
        if self.waiting is not None:
            self.waiting.switch()


class Exchanges:
    """The transfers under way, over no more connections than `concurrency`.

    It belongs to the thread, and so to the hub, that has made it.
    """

    def __init__(self, concurrency: int) -> None:
        self._hub = get_hub()
        self._concurrency = concurrency
        self._room = Semaphore(concurrency)
        self._pump: _Pump | None = None

    def __repr__(self) -> str:
        return f"Exchanges({self._concurrency - self._room.counter} under way)"

    @property
    def is_at_home(self) -> bool:
        """Whether the caller runs in the thread that these belong to."""
        return get_hub() is self._hub

    def run(self, transfer: Transfer, *, read_s: float) -> TransferEnd:
        """Send a handle's request, and wait for its end.

        A greenlet that is killed while it waits takes its transfer and the connection with it.

        :param read_s: how long the server may be silent, in seconds.
        """
        with self._room:
            # A loop that watched what nobody closes would fail: there is nothing to close before the first transfer.
            self._pump = self._pump or _Pump(self._concurrency)
            return self._pump.run(Exchange(transfer, read_s=read_s))

    def close(self) -> None:
        """Close all connections; who still waits for an answer gets an error."""
        if self._pump is not None:
            self._pump.close()
            self._pump = None


class _Pump:
    """Moves transfers, from a greenlet of its own that wakes those of the transfers that have ended."""

    def __init__(self, most_connections: int) -> None:
        self._hub = get_hub()
        self._multi = Multi(most_connections)
        self._multi.limit(most_connections)
        self._alarm = Alarm(self._multi.fileno())
        self._known: set[Transfer] = set()
        self._under_way: dict[pycurl.Curl, Exchange] = {}
        self._new: list[Exchange] = []
        self._look_s = math.inf
        self._next_look_s = math.inf
        self._greenlet = gevent.spawn(self._run)

    def run(self, exchange: Exchange) -> TransferEnd:
        """Make a transfer, and wait for its end."""
        self._begin(exchange)
        try:
            while exchange.ended is None:
                self._hub.switch()
        finally:
            exchange.waiting = None
            if exchange.ended is None:
                self._leave(exchange)
        if isinstance(exchange.ended, TransferEnd):
            return exchange.ended
        raise exchange.ended

    def close(self) -> None:
        """Close all connections."""
        self._greenlet.kill()
        self._fail(ConnectionAbortedError("the session was closed"))
        self._alarm.close()
        self._multi.close()

    def _begin(self, exchange: Exchange) -> None:
        if exchange.transfer not in self._known:
            self._known.add(exchange.transfer)
            self._multi.know(exchange.transfer)
        self._under_way[exchange.transfer.easy] = exchange
        look_s = look_every_s(exchange.read_s)
        if look_s < self._look_s:
            self._look_s = look_s
            self._next_look_s = min(self._next_look_s, time.monotonic() + look_s)
        if not self._new:
            self._alarm.ring()
        self._new.append(exchange)

    def _leave(self, exchange: Exchange) -> None:
        del self._under_way[exchange.transfer.easy]
        if exchange in self._new:
            self._new.remove(exchange)
            return
        # If it hasn't ended, this closes its connection, too, on which its answer may still come.
        self._multi.remove(exchange.transfer.easy)

    def _run(self) -> None:
        pause_s = 0.0
        while True:
            self._alarm.wait(pause_s)
            try:
                # All that can be done now is done; then there is nothing more for a while, unless a socket is ready.
                turn = self._multi.turn(len(self._under_way), self._collect, self._add_new)
                if turn.has_read_all:
                    self._end_the_silent()
                pause_s = min(self._multi.timeout_s(), self._look_s if self._under_way else math.inf)
            except Exception as error:  # noqa: BLE001 - who waits must not wait for ever, whatever it is
                self._fail(error)
                pause_s = math.inf

    def _add_new(self) -> tuple[int, float]:
        """Give libcurl what has come; return how many requests, and that nobody knows when there will be more."""
        new = len(self._new)
        while self._new:
            self._multi.add(self._new[0].transfer.easy)
            del self._new[0]
        return new, math.inf

    def _collect(self) -> int:
        ended = 0
        for answered, failed in self._multi.ended():
            for easy in answered:
                self._look_behind(self._under_way[easy].transfer)
                self._end(self._under_way[easy], TransferEnd(0))
            for easy, code, message in failed:
                self._end(self._under_way[easy], TransferEnd(code, message))
            ended += len(answered) + len(failed)
        return ended

    def _look_behind(self, transfer: Transfer) -> None:
        """Cut the connection off if anything has come after the answer, before somebody else sends on it."""
        if transfer.body and b"chunked" in b"".join(transfer.lines).lower():
            with suppress(Unreadable):
                transfer.whole_body(transfer.checked_head())
        if transfer.is_soiled:
            self._multi.soil(transfer.easy)

    def _end_the_silent(self) -> None:
        now = time.monotonic()
        if now < self._next_look_s:
            return
        self._next_look_s = now + self._look_s
        self._multi.check()
        for exchange in tuple(self._under_way.values()):
            if is_silent(exchange.transfer, exchange.begun_s, now, exchange.read_s):
                self._end(exchange, TransferEnd(pycurl.E_OPERATION_TIMEDOUT))

    def _end(self, exchange: Exchange, ended: TransferEnd | BaseException) -> None:
        self._leave(exchange)
        exchange.ended = ended
        # Not by a switch from here: what its greenlet does next is none of the pump's time.
        self._hub.loop.run_callback(exchange.wake)

    def _fail(self, error: BaseException) -> None:
        for exchange in tuple(self._under_way.values()):
            self._end(exchange, error)
