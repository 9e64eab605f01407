"""The sockets that libcurl wants watched, in an epoll of our own: gevent's loop watches only that one descriptor.

Over HTTP/1.1 libcurl forgets a kept-alive socket after each transfer and asks for it again with the next. Forgetting
is remembered here, and nothing else done: wanted again, the socket is only registered for the same events once more,
by which the kernel says whether it is still the same one. An event on one that nobody wants means that its server has
closed it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pycurl

if sys.platform != "linux":
    raise ImportError("libcurl is driven by epoll here, which only Linux has")

# EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP (epoll_ctl(2)); gevent's patch removes `select.epoll` and leaves its names.
_IN, _OUT, _BROKEN = 0x001, 0x004, 0x008 | 0x010
_READ, _GONE = int(pycurl.CSELECT_IN), pycurl.POLL_REMOVE
_WANTS = {pycurl.POLL_NONE: 0, pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}


class Sockets:
    """What libcurl's callbacks say of sockets, and which of these are ready.

    The callbacks run inside libcurl: they must neither raise, nor switch greenlets, nor call libcurl.
    """

    def __init__(self) -> None:
        from gevent.monkey import get_original

        self._epoll = get_original("select", "epoll")()
        self._wanted: set[int] = set()

    def __repr__(self) -> str:
        return f"Sockets({len(self._wanted)} wanted)"

    def fileno(self) -> int:
        """The descriptor that is readable when a socket is ready."""
        return int(self._epoll.fileno())

    def close(self) -> None:
        """Close the epoll."""
        self._epoll.close()

    def want(self, what: int, socket: int, _multi: Any, _data: Any) -> None:
        """Hear what libcurl wants to know of a socket (CURLMOPT_SOCKETFUNCTION)."""
        if what == _GONE:
            self._wanted.discard(socket)
            return
        self._wanted.add(socket)
        events = _WANTS[what]
        try:
            self._epoll.modify(socket, events)
        except FileNotFoundError:
            # A new one; or libcurl has closed the old one without a word, and its number has come back.
            self._register(socket, events)
        except OSError:
            # Closed between libcurl's word and ours: libcurl finds out by itself.
            return

    def ready(self, most: int) -> Iterator[tuple[int, int]]:
        """Yield the wanted sockets that are ready, at most so many, with libcurl's bits for what they are ready for."""
        for socket, events in self._epoll.poll(0, most):
            if socket in self._wanted:
                yield socket, _READ if events == _IN else _bits(events)
            else:
                with suppress(OSError):
                    self._epoll.unregister(socket)

    def _register(self, socket: int, events: int) -> None:
        with suppress(OSError):
            self._epoll.register(socket, events)


def _bits(events: int) -> int:
    found = pycurl.CSELECT_IN if events & _IN else 0
    found |= pycurl.CSELECT_OUT if events & _OUT else 0
    return found | (pycurl.CSELECT_ERR if events & _BROKEN else 0)
