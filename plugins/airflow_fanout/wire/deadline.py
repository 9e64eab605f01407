"""A limit on the time of a whole answer, for a session that reads one answer at a time.

`requests` limits the time between two pieces only: a server that sends a byte now and then never runs into that.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter

from airflow_fanout.wire.adapter import BoundedAdapter

if TYPE_CHECKING:
    import requests


class Deadline:
    """The moment until which an answer must be there."""

    def __init__(self, total_s: float) -> None:
        self._total_s = total_s
        self._at = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._at = time.monotonic() + self._total_s

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        return time.monotonic() >= self._at

    def left_s(self) -> float:
        """Return the seconds that are left; raise `TimeoutError` when there are none."""
        if self.is_over:
            raise TimeoutError
        return max(self._at - time.monotonic(), 0.001)


class DeadlineAdapter(BoundedAdapter):
    """A connection pool whose answers, header and body, must be complete at a deadline."""

    def __init__(self, max_body_bytes: int, deadline: Deadline) -> None:
        super().__init__(1, max_body_bytes)
        self._deadline = deadline

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request and return its answer."""
        # One that asks for a connection of its own would have it from another adapter; here nobody else wants one.
        return HTTPAdapter.send(self, request, *args, **kwargs)

    def get_connection_with_tls_context(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Return the pool for a request; direct or over a proxy, its connections read by the deadline."""
        pool: Any = super().get_connection_with_tls_context(request, *args, **kwargs)
        if not issubclass(pool.ConnectionCls, _ReadsByDeadline):
            bases = (_ReadsByDeadline, pool.ConnectionCls)
            pool.ConnectionCls = type(pool.ConnectionCls.__name__, bases, {"deadline": self._deadline})
        return pool


class _ReadsByDeadline:
    """What is different in a connection: whatever makes an answer of it reads from a socket that knows the deadline."""

    deadline: Deadline

    @property
    def response_class(self) -> Any:
        make: Any = super().response_class  # type: ignore[misc] # that of the connection's own class beside this one
        return lambda sock, *args, **kwargs: make(_DeadlineSocket(sock, self.deadline), *args, **kwargs)


class _DeadlineSocket:
    """A socket whose files are read by a deadline; in all else it is the socket itself."""

    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a file to read from; it is what http.client asks for."""
        return io.BufferedReader(_DeadlineFile(self._sock, self._deadline))


class _DeadlineFile(io.RawIOBase):
    """Reads from a socket, each time with what is left of the time as the limit."""

    def __init__(self, sock: Any, deadline: Deadline) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._silence_s = sock.gettimeout()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        # One that doesn't wait at all has only been asked whether there is more.
        if self._sock.gettimeout() != 0:
            left_s = self._deadline.left_s()
            self._sock.settimeout(left_s if self._silence_s is None else min(left_s, self._silence_s))
        read: int | None = self._raw.readinto(buffer)
        return read

    def close(self) -> None:
        self._raw.close()
        super().close()
