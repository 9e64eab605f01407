"""Over TLS: what it holds back of one answer is never taken for the next.

What has come in one record with an answer's end, TLS may hold, and nobody sees it in the socket. So what follows a
request is its answer only if libcurl has read a record from the socket since the request was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from airflow_fanout.engine.libcurl.connections import ABORT, OK, Connection, Connections, Ends

if TYPE_CHECKING:
    from airflow_fanout.engine.libcurl.transfer import Transfer

# A record is longer than its own header (RFC 8446, 5.1).
_RECORD_HEADER = 5
_HTTP_1 = b"HTTP/1"


class OverTls:
    """Hears of a handle's requests and of its answers' heads, from inside libcurl.

    :param transfer: the handle.
    :param connections: what is known of the connections.
    """

    def __init__(self, transfer: Transfer, connections: Connections) -> None:
        self._transfer = transfer
        self._connections = connections
        self._connection: Connection | None = None
        self._read = 0
        self._is_first = False
        lines = self._lines()
        next(lines)
        # Takes a line of an answer's head (CURLOPT_HEADERFUNCTION): sent to a generator, which is faster than a method.
        self.hears: Callable[[bytes], None] = lines.send

    def sends(self, *ends: *Ends) -> int:
        """Return whether a request may be sent on a connection, as libcurl wants it (CURLOPT_PREREQFUNCTION)."""
        self._transfer.refused = self._transfer.is_early = False
        self._is_first = True
        try:
            self._connection = known = self._connections.in_use[ends]
            if known.waiting():
                return ABORT
            # What comes from now on until the request is sent isn't its answer, either.
            self._read = known.received()
        except (KeyError, OSError):
            return self._sends(ends)
        return OK

    def _sends(self, ends: Ends) -> int:
        self._connection = known = self._connections.at(ends)
        if known is None:
            return OK
        is_new = known.is_new
        # Over HTTP/2 frames come at any time.
        if is_new or known.is_one_by_one:
            if not self._connections.use(known):
                return ABORT
            self._read = known.read() if is_new else known.received()
        return OK

    def _lines(self) -> Generator[None, bytes, None]:
        keep = self._transfer.lines.append
        while True:
            line = yield
            if self._is_first:
                self._is_first = False
                self._hear_first(line)
            keep(line)

    def _hear_first(self, line: bytes) -> None:
        known = self._connection
        if known is None or not (known.is_one_by_one or line.startswith(_HTTP_1)):
            return
        known.is_one_by_one = True
        if self._read <= 0:
            # This kernel doesn't count what has come: nobody could say whose the next answer is.
            self._connections.soil(known.number)
        elif known.read() < self._read + _RECORD_HEADER:
            self._transfer.is_early = True
            # So that it doesn't begin like a usual answer.
            self._transfer.lines.append(b"")
            # At once: by the same call libcurl may send another request on this connection.
            self._connections.soil(known.number)
