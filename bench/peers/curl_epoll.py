"""libcurl's multi interface over epoll, in the way of libcurl's examples: callbacks for sockets and for the timer."""

from __future__ import annotations

import select
import time
from typing import Any

import pycurl

from bench.asked import Asked
from bench.peers.curl_multi import begin, ended, finish, handle
from bench.peers.stopwatch import Stopwatch

_EVENTS = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}


def fetch(asked: Asked) -> list[float]:
    """Send all requests."""
    watch, urls, loop = Stopwatch(), asked.urls(), _Loop(asked.concurrency)
    free = [handle(asked) for _ in range(asked.concurrency)]
    held, left = list(free), asked.count
    while left:
        while free and (url := next(urls, None)):
            begin(loop.multi, free.pop(), url, watch.now())
        loop.turn()
        done = ended(loop.multi)
        for each in done:
            finish(loop.multi, each, watch)
        free += done
        left -= len(done)
    for each in held:
        each.close()
    loop.close()
    return watch.latencies


class _Loop:
    """An epoll and a timer, kept as libcurl's callbacks want them."""

    def __init__(self, connections: int) -> None:
        self.multi = pycurl.CurlMulti()
        self.multi.setopt(pycurl.M_MAXCONNECTS, connections)
        self.multi.setopt(pycurl.M_SOCKETFUNCTION, self._socket)
        self.multi.setopt(pycurl.M_TIMERFUNCTION, self._timer)
        self._epoll = select.epoll()
        self._watched: set[int] = set()
        self._due_s: float | None = 0.0

    def close(self) -> None:
        """Close the handle and the epoll."""
        self.multi.close()
        self._epoll.close()

    def turn(self) -> None:
        """Wait for sockets or the timer, and let libcurl go on with them."""
        wait_s = -1.0 if self._due_s is None else max(0.0, self._due_s - time.monotonic())
        for socket, events in self._epoll.poll(wait_s):
            bits = pycurl.CSELECT_IN if events & select.EPOLLIN else 0
            bits |= pycurl.CSELECT_OUT if events & select.EPOLLOUT else 0
            bits |= pycurl.CSELECT_ERR if events & (select.EPOLLERR | select.EPOLLHUP) else 0
            self.multi.socket_action(socket, bits)
        if self._due_s is not None and time.monotonic() >= self._due_s:
            self._due_s = None
            self.multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _socket(self, what: int, socket: int, _multi: Any, _data: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            self._epoll.unregister(socket)
            self._watched.discard(socket)
        elif socket in self._watched:
            self._epoll.modify(socket, _EVENTS[what])
        else:
            self._epoll.register(socket, _EVENTS[what])
            self._watched.add(socket)

    def _timer(self, timeout_ms: int) -> None:
        self._due_s = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000
