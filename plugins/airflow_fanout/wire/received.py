"""An answer on its way in, for urllib3: what `http.client.HTTPResponse` is to it, by the rules of this package."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http.client import HTTPMessage, IncompleteRead
from socket import socket
from typing import IO, Any

from urllib3.exceptions import InvalidHeader

from airflow_fanout.wire.chunks import ChunkReader
from airflow_fanout.wire.framing import BODYLESS, framing_of, is_readable, transfer_codings
from airflow_fanout.wire.head import check_number, message_of, pairs_of, receive_head

PIECE = 1 << 16


@dataclass
class Line:
    """What is known of a connection: `is_soiled` once it has brought something that nobody has asked for."""

    is_soiled: bool = False


class Received:
    """An answer whose head has been read by `begin`, and whose body is read piece by piece.

    :param line: the connection's.
    :param sock: its socket.
    :param method: the request's method.
    """

    def __init__(self, line: Line, sock: socket, debuglevel: int = 0, method: str = "") -> None:  # noqa: ARG002 - http.client may give it
        self._line = line
        self._sock: socket | None = sock
        self._file: IO[bytes] | None = sock.makefile("rb")
        self._method = method
        self._left: int | None = 0
        self._chunks: ChunkReader | None = None
        self.status = 0
        self.reason = ""
        self.version = 11
        # How long the body is, in bytes; `None` if that shows at its end only.
        self.length: int | None = 0
        self.will_close = True
        self.msg = HTTPMessage()

    @property
    def wire_bytes(self) -> int:
        """How much of a body in chunks has come, in bytes, with what delimits the chunks."""
        return self._chunks.size if self._chunks else 0

    def begin(self) -> None:
        """Read the head of the final answer.

        :raises HTTPException: when the connection has ended, or what it brings is no answer of HTTP/1.
        :raises InvalidHeader: when a header can't be read, or contradicts another one.
        """
        if self._file is None:
            raise ValueError("the answer is closed")
        lines = receive_head(self._file)
        version, self.status = lines[0][:8].decode("latin-1"), int(lines[0][9:12])
        pairs = pairs_of(lines)
        if len({text for name, text in pairs if name.lower() == "location" and text}) > 1:
            raise InvalidHeader("Multiple Location headers")
        framing = framing_of(self._method, version, self.status, pairs)
        check_number(lines)
        if framing.length is None and not is_readable(transfer_codings(pairs)):
            raise InvalidHeader("Unsolicited Transfer-Encoding found")
        self.version = 10 if version == "HTTP/1.0" else 11
        self.reason = lines[0][12:].decode("latin-1").strip()
        self.will_close = framing.closes
        self.msg = message_of(pairs)
        if self.status in BODYLESS and "," in ",".join(self.msg.get_all("Content-Length", [])):
            # It delimits nothing here, and urllib3 refuses an answer whose lengths contradict each other.
            del self.msg["Content-Length"]
        self.length = self._left = framing.length
        if framing.chunked:
            self._chunks = ChunkReader(self._file)

    def read(self, amt: int | None = None) -> bytes:
        """Return the next bytes of the body: all of it, or at most `amt`.

        :raises IncompleteRead: when the connection ends before the body.
        :raises BadChunk: when a chunk is none.
        """
        if amt is not None:
            return self._piece(amt)
        pieces = []
        while piece := self._piece(PIECE):
            pieces.append(piece)
        return b"".join(pieces)

    def read1(self, amt: int | None = None) -> bytes:
        """Return the next bytes of the body, at most `amt`."""
        return self._piece(PIECE if amt is None or amt < 0 else amt)

    def _piece(self, most: int) -> bytes:
        if self._file is None or not most:
            return b""
        if self._chunks:
            try:
                data = self._chunks.read(most)
            except EOFError:
                raise IncompleteRead(b"") from None
            is_over = self._chunks.is_over
        else:
            data = self._file.read(most if self._left is None else min(most, self._left))
            if self._left:
                self._left -= len(data)
                if not data:
                    raise IncompleteRead(b"", self._left)
            is_over = not data or self._left == 0
        if is_over:
            if not self.will_close and self._sock is not None and _has_more(self._file, self._sock):
                self._line.is_soiled = True
            self.close()
        return data

    def isclosed(self) -> bool:
        """Return whether nothing more is to be read."""
        return self._file is None

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be read."""
        return self._file is None

    def close(self) -> None:
        """Read no more."""
        file, self._file, self._sock = self._file, None, None
        if file is not None:
            file.close()

    def flush(self) -> None:
        """Do nothing: there is nothing to be written."""

    def getheader(self, name: str, default: Any = None) -> Any:
        """Return a header's value."""
        return self.msg.get(name, default)

    @property
    def headers(self) -> HTTPMessage:
        """The headers."""
        return self.msg


def _has_more(file: IO[bytes], sock: socket) -> bool:
    """Return whether something has come after an answer that nobody has asked for."""
    limit_s = sock.gettimeout()
    sock.settimeout(0.0)
    try:
        return bool(file.peek(1))  # type: ignore[attr-defined] # a reader with a buffer
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        # Whatever it is, nobody wants to meet it again.
        return True
    finally:
        sock.settimeout(limit_s)
