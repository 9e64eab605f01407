"""The connections that libcurl keeps: whether the next request may be sent on one.

Whatever has come on a connection since its last answer would be taken for the next one. libcurl looks for that once a
second at most (lib/conncache.c). A request whose connection has died it sends again by itself, on any other that it
keeps. So it asks here before each request, with nothing sent yet (CURLOPT_PREREQFUNCTION), and closes a connection that
isn't clean.
"""

from __future__ import annotations

# What `socket.socket` is made of, which gevent leaves alone.
from _socket import IPPROTO_TCP, TCP_INFO, socket
from contextlib import suppress
from errno import ENOTCONN
from fcntl import ioctl
from sys import byteorder
from termios import FIONREAD
from typing import TypeAlias

import pycurl

OK, ABORT = int(pycurl.PREREQFUNC_OK), int(pycurl.PREREQFUNC_ABORT)
_NOTHING = bytes(4)
# Where the kernel counts the bytes that have come: `tcpi_bytes_received` of struct tcp_info (linux/tcp.h).
_RECEIVED = slice(128, 136)

# The addresses and ports of both ends, in libcurl's order: the server's address, ours, the server's port, ours.
Ends: TypeAlias = tuple[str, str, int, int]


class Connection(socket):
    """What is known of a connection, and a look at its socket, which is libcurl's: it is never closed here.

    `is_new` says that nothing has been sent on it yet, `is_soiled` that it is to be closed instead of used again, and
    `is_one_by_one` that it is known to carry one answer after the other (HTTP/1).
    """

    def __init__(self, number: int) -> None:
        super().__init__(fileno=number)
        self.number = number
        self.is_new = True
        self.is_soiled = False
        self.is_one_by_one = False
        # Without the zone of a link-local address.
        (server, server_port), (ours, our_port) = self.getpeername()[:2], self.getsockname()[:2]
        self.ends: Ends = (server.partition("%")[0], ours.partition("%")[0], server_port, our_port)

    def __del__(self) -> None:
        self.detach()

    def received(self) -> int:
        """Return how many bytes have come, with the connection's end as one; 0 if the kernel doesn't count them."""
        return int.from_bytes(self.getsockopt(IPPROTO_TCP, TCP_INFO, _RECEIVED.stop)[_RECEIVED], byteorder)

    def waiting(self) -> int:
        """Return how many of these libcurl hasn't read."""
        return int.from_bytes(ioctl(self.number, FIONREAD, _NOTHING), byteorder)

    def read(self) -> int:
        """Return how many of them libcurl has read."""
        while True:
            received = self.received()
            waiting = self.waiting()
            # What comes between the two calls is counted by one of them only.
            if not waiting or received == self.received():
                return received - waiting


class Connections:
    """What is known of the open connections.

    Its methods are called from inside libcurl: they must neither raise, nor switch greenlets, nor call libcurl.
    """

    def __init__(self) -> None:
        # Opened, and perhaps not connected yet.
        self._opened: set[int] = set()
        self._by_number: dict[int, Connection] = {}
        self._by_ends: dict[Ends, Connection] = {}
        # The sockets of those that have been sent on and aren't soiled, for what is asked before each request. Empty
        # while one is opened, which may have the ends of an old one.
        self._in_use: dict[Ends, int] = {}

    def __repr__(self) -> str:
        soiled = sum(known.is_soiled for known in self._by_number.values())
        return f"Connections({len(self._by_number)} known, {soiled} soiled)"

    def opened(self, number: int) -> None:
        """Hear that a number is a new connection's: all that is known of an old one's is out of date."""
        if old := self._by_number.pop(number, None):
            self._by_ends.pop(old.ends, None)
        self._opened.add(number)
        self._in_use.clear()

    def soil(self, number: int) -> None:
        """Have a connection closed instead of used again."""
        self._learn()
        if known := self._by_number.get(number):
            known.is_soiled = True
            self._in_use.pop(known.ends, None)

    def at(self, ends: Ends) -> Connection | None:
        """Return the connection that has these ends, if it is known."""
        if self._opened:
            self._learn()
        return self._by_ends.get(ends)

    def may_send(self, *ends: *Ends) -> int:
        """Return whether a request may be sent on a connection without TLS, as libcurl wants to know it."""
        try:
            # PREREQFUNC_OK is 0, and PREREQFUNC_ABORT 1.
            return ioctl(self._in_use[ends], FIONREAD, _NOTHING) != _NOTHING
        except (KeyError, OSError):
            return self._may_send(ends)

    def _may_send(self, ends: Ends) -> int:
        known = self.at(ends)
        if known is None:
            return OK
        if known.is_new:
            known.is_new = False
            return OK
        if known.is_soiled:
            return ABORT
        if not self._opened:
            self._in_use[ends] = known.number
        # Of one that is closed libcurl finds out by itself.
        with suppress(OSError):
            return ABORT if known.waiting() else OK
        return OK

    def _learn(self) -> None:
        """Learn the ends of the connections that stand by now."""
        for number in tuple(self._opened):
            try:
                known = Connection(number)
            except (OSError, ValueError) as error:
                # One that doesn't stand yet will; what has no addresses isn't of TCP.
                if getattr(error, "errno", None) != ENOTCONN:
                    self._opened.discard(number)
            else:
                self._opened.discard(number)
                self._by_number[number] = self._by_ends[known.ends] = known
