"""The sockets that libcurl wants watched, in an epoll of our own: gevent's loop watches only that one descriptor.

Over HTTP/1.1 libcurl forgets a kept-alive socket after each transfer and asks for it again with the next. Forgetting
is remembered here, and nothing else done: wanted again, the socket is registered still, and the kernel isn't asked. An
event on one that nobody wants means that its server has closed it.
"""

from __future__ import annotations

import math
import os
import socket as sockets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pycurl

if sys.platform != "linux":
    raise ImportError("libcurl is driven by epoll here, which only Linux has")

# EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP (epoll_ctl(2)); gevent's patch removes `select.epoll` and leaves its names.
_IN, _OUT, _BROKEN = 0x001, 0x004, 0x008 | 0x010
_GONE = pycurl.POLL_REMOVE
# As many as the kernel shall name at once.
MOST_SOCKETS = 1024
_EVENTS = {pycurl.POLL_NONE: 0, pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}


class Sockets:
    """What libcurl's callbacks say of sockets, and which of these are ready.

    The callbacks run inside libcurl: they must neither raise, nor switch greenlets, nor call libcurl.
    """

    def __init__(self) -> None:
        from gevent.monkey import get_original

        self._epoll = get_original("select", "epoll")()
        self._wanted: set[int] = set()
        # Over HTTP/2 frames come at any time, and each says to whom it belongs.
        self.are_for_one_request_each: Callable[[], bool] = lambda: True
        self.cut_s = -math.inf
        self._registered: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"Sockets({len(self._wanted)} wanted, {len(self._registered)} registered)"

    def fileno(self) -> int:
        """The descriptor that is readable when a socket is ready."""
        return int(self._epoll.fileno())

    def close(self) -> None:
        """Close the epoll."""
        self._epoll.close()

    def opened(self, socket: int, _purpose: int) -> int:
        """Hear of a connection that libcurl opens (CURLOPT_SOCKOPTFUNCTION); return that it may."""
        # It may have closed the last socket of this number without a word, and the kernel has forgotten that one.
        self._registered.pop(socket, None)
        return int(pycurl.SOCKOPT_OK)

    def want(self, what: int, socket: int, _multi: Any, _data: Any) -> None:
        """Hear what libcurl wants to know of a socket (CURLMOPT_SOCKETFUNCTION)."""
        if what == _GONE:
            self._wanted.discard(socket)
            return
        self._wanted.add(socket)
        events = _EVENTS[what]
        if self._registered.get(socket) != events:
            self._register(socket, events)

    def ready(self, most: int) -> list[tuple[int, int]]:
        """Return the wanted sockets that are ready, at most so many, with the kernel's events."""
        found: list[tuple[int, int]] = self._epoll.poll(0, most)
        wanted = [pair for pair in found if pair[0] in self._wanted]
        if len(wanted) < len(found):
            self._forget_all_but(wanted, found)
        return wanted

    def look_at_idle(self) -> None:
        """Find the kept connections that have brought something nobody has asked for, and cut them off."""
        found: list[tuple[int, int]] = self._epoll.poll(0, MOST_SOCKETS)
        for socket, _ in found:
            if socket not in self._wanted:
                self._forget(socket)

    def check(self) -> None:
        """Ask the kernel whether all that are wanted are still registered, and register those that aren't.

        Not every descriptor is a connection's: an old libcurl opens some for looking up names, of which it says nothing
        before it wants them, and whose numbers may be those of connections that it closed without a word.
        """
        for socket in self._wanted:
            self._register(socket, self._registered[socket])

    def _register(self, socket: int, events: int) -> None:
        self._registered[socket] = events
        # A socket that was closed between libcurl's word and ours: libcurl finds out by itself.
        with suppress(OSError):
            try:
                self._epoll.modify(socket, events)
            except FileNotFoundError:
                self._epoll.register(socket, events)

    def _forget_all_but(self, wanted: list[tuple[int, int]], found: list[tuple[int, int]]) -> None:
        for socket, _ in set(found).difference(wanted):
            self._forget(socket)

    def _forget(self, socket: int) -> None:
        self._registered.pop(socket, None)
        with suppress(OSError):
            self._epoll.unregister(socket)
        if self.are_for_one_request_each() and _has_input(socket):
            cut_off(socket)
            self.cut_s = time.monotonic()


def bits_of(events: int) -> int:
    """Return the kernel's events as libcurl's bits (curl_multi_socket_action)."""
    if events == _IN:
        return int(pycurl.CSELECT_IN)
    found = pycurl.CSELECT_IN if events & _IN else 0
    found |= pycurl.CSELECT_OUT if events & _OUT else 0
    return int(found | (pycurl.CSELECT_ERR if events & _BROKEN else 0))


def _has_input(socket: int) -> bool:
    """Return whether a connection has brought bytes, and hasn't just come to its end."""
    with suppress(OSError), _borrowed(socket) as borrowed:
        return bool(borrowed.recv(1, sockets.MSG_PEEK | sockets.MSG_DONTWAIT))
    return False


def cut(easy: Any) -> None:
    """Cut off the connection of a handle's last transfer, if libcurl has kept it."""
    socket = easy.getinfo(pycurl.ACTIVESOCKET)
    if socket != pycurl.SOCKET_BAD:
        cut_off(socket)


def cut_off(socket: int) -> None:
    """Make a connection that libcurl keeps useless: what has come on it is thrown away, and nothing can be sent.

    libcurl has no call for closing one. It finds out when it wants to send, and opens another.
    """
    with suppress(OSError), _borrowed(socket) as borrowed:
        borrowed.shutdown(sockets.SHUT_RDWR)
        while borrowed.recv(1 << 16, sockets.MSG_DONTWAIT):
            pass


def _borrowed(socket: int) -> sockets.socket:
    from gevent.monkey import get_original

    plain: type[sockets.socket] = get_original("socket", "socket")
    return plain(fileno=os.dup(socket))
