"""The sockets that libcurl wants watched, in an epoll of our own: gevent's loop watches only that one descriptor.

Over HTTP/1.1 libcurl forgets a kept-alive socket after each transfer and asks for it again with the next. Forgetting
is remembered here, and nothing else done: wanted again, the socket is registered still, and the kernel isn't asked. An
event on one that nobody wants means that its server has closed it, or sent what nobody has asked for.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import pycurl

from airflow_fanout.engine.libcurl.connections import Connections

if sys.platform != "linux":
    raise ImportError("libcurl is driven by epoll here, which only Linux has")

# EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP (epoll_ctl(2)); gevent's patch removes `select.epoll` and leaves its names.
_IN, _OUT, _BROKEN = 0x001, 0x004, 0x008 | 0x010
_GONE = pycurl.POLL_REMOVE
_EVENTS = {pycurl.POLL_NONE: 0, pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}


class Sockets:
    """What libcurl's callbacks say of sockets, and which of these are ready.

    The callbacks run inside libcurl: they must neither raise, nor switch greenlets, nor call libcurl.

    :param connections: hears of the sockets that are connections.
    """

    def __init__(self, connections: Connections) -> None:
        from gevent.monkey import get_original

        self._epoll = get_original("select", "epoll")()
        self._connections = connections
        self._wanted: set[int] = set()
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
        self._connections.opened(socket)
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
        """Return at most `most` of the wanted sockets that are ready, with the kernel's events; forget any others."""
        polled: list[tuple[int, int]] = self._epoll.poll(0, most)
        wanted = [pair for pair in polled if pair[0] in self._wanted]
        if len(wanted) < len(polled):
            for socket, events in set(polled).difference(wanted):
                self._registered.pop(socket, None)
                # One that was to be written to can be, and that is no news.
                if events & (_IN | _BROKEN):
                    self._connections.soil(socket)
                with suppress(OSError):
                    self._epoll.unregister(socket)
        return wanted

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


def bits_of(events: int) -> int:
    """Return the kernel's events as libcurl's bits (curl_multi_socket_action)."""
    if events == _IN:
        return int(pycurl.CSELECT_IN)
    bits = pycurl.CSELECT_IN if events & _IN else 0
    bits |= pycurl.CSELECT_OUT if events & _OUT else 0
    return int(bits | (pycurl.CSELECT_ERR if events & _BROKEN else 0))
