"""The sockets that libcurl wants watched, in an epoll of our own: gevent's loop watches only that one descriptor.

Over HTTP/1.1 libcurl forgets a kept-alive socket after each transfer and asks for it again with the next. Forgetting
is remembered here, and nothing else done: when it is wanted again it is only looked at, whether it is still the same
socket. An event on one that nobody wants means that its server has closed it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from stat import S_ISSOCK
from typing import Any

import pycurl

if sys.platform != "linux":
    raise ImportError("libcurl is driven by epoll here, which only Linux has")

# EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP (epoll_ctl(2)); gevent's patch removes `select.epoll` and leaves its names.
_IN, _OUT, _BROKEN = 0x001, 0x004, 0x008 | 0x010
_WANTS = {pycurl.POLL_IN: _IN, pycurl.POLL_OUT: _OUT, pycurl.POLL_INOUT: _IN | _OUT}


class Sockets:
    """What libcurl's callbacks say of sockets, and which of these are ready.

    The callbacks run inside libcurl: they must neither raise, nor switch greenlets, nor call libcurl.
    """

    def __init__(self) -> None:
        from gevent.monkey import get_original

        self._epoll = get_original("select", "epoll")()
        self._registered: dict[int, int] = {}
        self._wanted: set[int] = set()
        self._inodes: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"Sockets({len(self._wanted)} wanted, {len(self._registered)} registered)"

    def fileno(self) -> int:
        """The descriptor that is readable when a socket is ready."""
        return int(self._epoll.fileno())

    def close(self) -> None:
        """Close the epoll."""
        self._epoll.close()

    def want(self, what: int, socket: int, _multi: Any, _data: Any) -> None:
        """Hear what libcurl wants to know of a socket (CURLMOPT_SOCKETFUNCTION)."""
        if what == pycurl.POLL_REMOVE:
            self._wanted.discard(socket)
            if socket not in self._inodes or self._registered.get(socket) != _IN:
                self._forget(socket)
            return
        self._wanted.add(socket)
        events = _WANTS.get(what, 0)
        if self._registered.get(socket) != events or self._is_another(socket):
            self._register(socket, events)

    def ready(self, most: int) -> Iterator[tuple[int, int]]:
        """Yield the wanted sockets that are ready, at most so many, with libcurl's bits for what they are ready for."""
        for socket, events in self._epoll.poll(0, most):
            if socket in self._wanted:
                yield socket, _bits(events)
            else:
                self._forget(socket)

    def _register(self, socket: int, events: int) -> None:
        known = socket in self._registered
        try:
            (self._epoll.modify if known else self._epoll.register)(socket, events)
        except FileExistsError:
            self._epoll.modify(socket, events)
        except FileNotFoundError:
            self._epoll.register(socket, events)
        except OSError:
            # Closed between libcurl's word and ours: libcurl finds out by itself.
            return
        self._registered[socket] = events
        if (inode := _socket_inode(socket)) is not None:
            self._inodes[socket] = inode
        else:
            self._inodes.pop(socket, None)

    def _is_another(self, socket: int) -> bool:
        # libcurl closes a socket without a word, which makes the kernel forget it, and its number may come back.
        return socket in self._inodes and _socket_inode(socket) != self._inodes[socket]

    def _forget(self, socket: int) -> None:
        self._inodes.pop(socket, None)
        if self._registered.pop(socket, None) is not None:
            with suppress(OSError):
                self._epoll.unregister(socket)


def _socket_inode(descriptor: int) -> int | None:
    """Return what tells one socket from another; `None` for what is no socket."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_ino if S_ISSOCK(found.st_mode) else None


def _bits(events: int) -> int:
    if events == _IN:
        return int(pycurl.CSELECT_IN)
    found = pycurl.CSELECT_IN if events & _IN else 0
    found |= pycurl.CSELECT_OUT if events & _OUT else 0
    return found | (pycurl.CSELECT_ERR if events & _BROKEN else 0)
