"""A way to a server that can be cut."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock, Thread

HOST = "127.0.0.1"
# Closing then resets the connection, as a firewall or a dying server does.
AT_ONCE = struct.pack("ii", 1, 0)


class Forwarder:
    """Forwards a port of its own to a server's: cut, all connections are reset, and new ones refused."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = Lock()
        self._ends: set[socket.socket] = set()
        self._resets_next = False
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    @contextmanager
    def open(self) -> Iterator[Forwarder]:
        """Forward until the context ends."""
        try:
            yield self
        finally:
            self._close()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Let nobody through until the context ends."""
        self._close()
        try:
            yield
        finally:
            self._listener = self._listen(self.port)

    def reset_next(self) -> None:
        """Reset the next connection as soon as it is opened."""
        self._resets_next = True

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server((HOST, port), backlog=100)
        Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _close(self) -> None:
        with suppress(OSError):
            # A thread that waits in accept() holds the port; this wakes it.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            _reset(end)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                if self._resets_next:
                    self._resets_next = False
                    _reset(near)
                    continue
                far = socket.create_connection((HOST, self._target))
                with self._lock:
                    self._ends |= {near, far}
                for one, other in ((near, far), (far, near)):
                    Thread(target=self._forward, args=(one, other), daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with self._lock:
            self._ends -= {one, other}
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        end.shutdown(socket.SHUT_RDWR)
    end.close()
