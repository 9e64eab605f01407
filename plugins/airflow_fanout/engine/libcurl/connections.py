"""The connections that libcurl keeps: whether the next request may be sent on one.

Whatever has come on a connection since its last answer would be taken for the next one. libcurl looks for that once a
second at most (lib/conncache.c). A request whose connection has died it sends again by itself, on any other that it
keeps. So it asks here before each request, with nothing sent yet (CURLOPT_PREREQFUNCTION), and closes a connection that
isn't clean.
"""

from __future__ import annotations

import os
import socket as sockets
from contextlib import suppress
from errno import ENOTCONN
from fcntl import ioctl
from termios import FIONREAD
from typing import TypeAlias

import pycurl

_OK, _ABORT = int(pycurl.PREREQFUNC_OK), int(pycurl.PREREQFUNC_ABORT)
_NOTHING = bytes(4)

# The addresses and ports of both ends, in libcurl's order: the server's address, ours, the server's port, ours.
Ends: TypeAlias = tuple[str, str, int, int]
NOWHERE: Ends = ("", "", 0, 0)


class Connections:
    """What is known of the open connections.

    Its methods are called from inside libcurl: they must neither raise, nor switch greenlets, nor call libcurl.
    """

    def __init__(self) -> None:
        self._by_ends: dict[Ends, int] = {}
        self._ends: dict[int, Ends] = {}
        # Opened, and not sent on yet.
        self._new: set[int] = set()
        # Those that have been sent on and aren't soiled, for what is asked before each request. Empty while one is new,
        # which may have the ends of an old one.
        self._in_use: dict[Ends, int] = {}
        self._soiled: set[int] = set()
        # Over TLS: those that carry one answer after the other. Over HTTP/2 frames come at any time.
        self._one_by_one: set[int] = set()

    def __repr__(self) -> str:
        return f"Connections({len(self._by_ends)} known, {len(self._soiled)} soiled)"

    def opened(self, socket: int) -> None:
        """Hear that a number is a new connection's: all that is known of an old one's is out of date."""
        if old := self._ends.pop(socket, None):
            self._by_ends.pop(old, None)
        self._new.add(socket)
        self._in_use.clear()
        self._soiled.discard(socket)
        self._one_by_one.discard(socket)

    def soil(self, socket: int) -> None:
        """Have a connection closed instead of used again."""
        self._soiled.add(socket)
        self._in_use.pop(self._ends.get(socket, NOWHERE), None)

    def soil_by(self, ends: Ends) -> None:
        """Do the same, by the connection's ends."""
        socket = self._by_ends.get(ends)
        if socket is not None:
            self.soil(socket)

    def are_one_by_one(self, ends: Ends) -> bool:
        """Return whether a connection over TLS carries one answer after the other, as far as is known."""
        return self._by_ends.get(ends) in self._one_by_one

    def one_by_one(self, ends: Ends) -> None:
        """Hear that a connection over TLS carries one answer after the other (HTTP/1)."""
        socket = self._by_ends.get(ends)
        if socket is not None:
            self._one_by_one.add(socket)

    def may_send(self, *ends: *Ends) -> int:
        """Return whether a request may be sent on a connection without TLS, as libcurl wants to know it."""
        try:
            # PREREQFUNC_OK is 0, and PREREQFUNC_ABORT 1.
            return ioctl(self._in_use[ends], FIONREAD, _NOTHING) != _NOTHING
        except (KeyError, OSError):
            return self._may_send(ends)

    def _may_send(self, ends: Ends) -> int:
        if self._new and self._is_new(ends):
            return _OK
        socket = self._by_ends.get(ends)
        if socket is None:
            return _OK
        if socket in self._soiled:
            return _ABORT
        if not self._new:
            self._in_use[ends] = socket
        # Of one that is closed libcurl finds out by itself.
        with suppress(OSError):
            return ioctl(socket, FIONREAD, _NOTHING) != _NOTHING
        return _OK

    def may_send_over_tls(self, *ends: *Ends) -> int:
        """Return the same for a connection over TLS."""
        if (self._new and self._is_new(ends)) or not self.are_one_by_one(ends):
            return _OK
        return self.may_send(*ends)

    def _is_new(self, ends: Ends) -> bool:
        """Return whether nothing has been sent on a connection yet."""
        for socket in tuple(self._new):
            self._learn(socket)
        known = self._by_ends.get(ends)
        if known is None or known not in self._new:
            return False
        self._new.discard(known)
        return True

    def _learn(self, socket: int) -> None:
        """Learn the ends of a connection, if it stands."""
        try:
            with _borrowed(socket) as borrowed:
                server, ours = borrowed.getpeername(), borrowed.getsockname()
        except OSError as error:
            if error.errno != ENOTCONN:
                self._new.discard(socket)
            return
        # Without the zone of a link-local address.
        ends = (server[0].partition("%")[0], ours[0].partition("%")[0], server[1], ours[1])
        self._by_ends[ends], self._ends[socket] = socket, ends


def _borrowed(socket: int) -> sockets.socket:
    from gevent.monkey import get_original

    plain: type[sockets.socket] = get_original("socket", "socket")
    return plain(fileno=os.dup(socket))
