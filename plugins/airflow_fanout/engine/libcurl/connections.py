"""The connections that libcurl keeps: whether the next request may be sent on one.

Whatever has come on a connection since its last answer would be taken for the next one. libcurl looks for that once a
second at most (lib/conncache.c). A request whose connection has died it sends again by itself, on any other that it
keeps. So it asks here before each request, with nothing sent yet (CURLOPT_PREREQFUNCTION), and closes a connection that
isn't clean.
"""

from __future__ import annotations

# What `socket.socket` is made of, which gevent leaves alone.
from _socket import IPPROTO_TCP, TCP_INFO, socket
from array import array
from contextlib import suppress
from errno import ENOTCONN
from fcntl import ioctl
from sys import byteorder
from termios import FIONREAD
from typing import TypeAlias

import pycurl

OK, ABORT = int(pycurl.PREREQFUNC_OK), int(pycurl.PREREQFUNC_ABORT)
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
        # How many bytes wait, as FIONREAD writes it: with a buffer, the call takes half of the time.
        self._waiting = array("i", [0])
        self.is_new = True
        self.is_soiled = False
        self.is_one_by_one = False
        # Without the zone of a link-local address.
        (server, server_port), (ours, our_port) = self.getpeername()[:2], self.getsockname()[:2]
        self.ends: Ends = (server.partition("%")[0], ours.partition("%")[0], server_port, our_port)

    def __del__(self) -> None:
        self.detach()

    def waiting(self) -> int:
        """Return how many bytes have come that libcurl hasn't read."""
        ioctl(self.number, FIONREAD, self._waiting)
        return self._waiting[0]

    def received(self) -> int:
        """Return how many bytes have come, with the connection's end as one; 0 if the kernel doesn't count them."""
        try:
            return int.from_bytes(self.getsockopt(IPPROTO_TCP, TCP_INFO, _RECEIVED.stop)[_RECEIVED], byteorder)
        except OSError:
            return 0

    def read(self) -> int:
        """Return how many of these libcurl has read."""
        while True:
            received = self.received()
            waiting = self.waiting()
            # What comes between the two calls is counted by one of them only.
            if not waiting or received == self.received():
                return received - waiting


class Connections:
    """What is known of the open connections.

    Its methods are called from inside libcurl: they must neither raise, nor switch greenlets, nor call libcurl.

    `in_use` are those that have been sent on and aren't soiled, for a quick look before each request. It is empty while
    one is opened, which may have the ends of an old one.
    """

    def __init__(self) -> None:
        self.in_use: dict[Ends, Connection] = {}
        self._unread = array("i", [0])
        # Opened, and perhaps not connected yet.
        self._opened: set[int] = set()
        self._by_number: dict[int, Connection] = {}
        self._by_ends: dict[Ends, Connection] = {}

    def __repr__(self) -> str:
        soiled = sum(known.is_soiled for known in self._by_number.values())
        return f"Connections({len(self._by_number)} known, {soiled} soiled)"

    def opened(self, number: int) -> None:
        """Hear that a number is a new connection's: all that is known of an old one's is out of date."""
        old = self._by_number.pop(number, None)
        # A newer connection may have the same ends by now.
        if old is not None and self._by_ends.get(old.ends) is old:
            del self._by_ends[old.ends]
        self._opened.add(number)
        self.in_use.clear()

    def soil(self, number: int) -> None:
        """Have a connection closed instead of used again."""
        self._learn()
        if known := self._by_number.get(number):
            known.is_soiled = True
            self.in_use.pop(known.ends, None)

    def at(self, ends: Ends) -> Connection | None:
        """Return the connection that has these ends, if it is known."""
        if self._opened:
            self._learn()
        return self._by_ends.get(ends)

    def use(self, known: Connection) -> bool:
        """Send on a connection, if nothing has come on it since its last answer; return whether that is so."""
        if known.is_new:
            # What a server says before the first request is that answer's business.
            known.is_new = False
            return True
        if known.is_soiled:
            return False
        if not self._opened:
            self.in_use[known.ends] = known
        # Of one that is closed libcurl finds out by itself.
        with suppress(OSError):
            return not known.waiting()
        return True

    def may_send(self, *ends: *Ends) -> int:
        """Return whether a request may be sent on a connection without TLS, as libcurl wants to know it."""
        try:
            ioctl(self.in_use[ends].number, FIONREAD, self._unread)
            # PREREQFUNC_OK is 0.
            return self._unread[0] and ABORT
        except (KeyError, OSError):
            known = self.at(ends)
            return OK if known is None or self.use(known) else ABORT

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
