"""Bodies in chunks (RFC 9112, 7.1), as libcurl reads them (lib/http_chunks.c)."""

from __future__ import annotations

import re
from http.client import HTTPException
from typing import IO

# libcurl's limits: the digits of a size, and the bytes of a line.
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[^0-9A-Fa-f\n][^\n]*)?\n")
LONGEST_LINE = 1 << 16
LARGEST = (1 << 63) - 1


class BadChunk(HTTPException):
    """What should be a chunk is none."""


class ChunkReader:
    """Reads a body's chunks from a connection, one after the other.

    `size` is how many bytes there were in all, with what delimits the chunks.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._left = 0
        self.size = 0
        self.is_over = False

    def read(self, most: int) -> bytes:
        """Return the next bytes of the body, at most `most`; empty at its end.

        :raises BadChunk: when a chunk is none.
        :raises EOFError: when the connection ends before the body.
        """
        if not self._left and not self.is_over:
            self._begin()
        if self.is_over:
            return b""
        data = self._take(min(most, self._left))
        self._left -= len(data)
        if not self._left:
            while (sign := self._take(1)) != b"\n":
                if sign != b"\r":
                    raise BadChunk("Malformed encoding found in chunked-encoding")
        return data

    def _begin(self) -> None:
        """Read a chunk's size; after that of the last one, which is 0, read the trailers."""
        match = _SIZE.fullmatch(self._line())
        size = int(match[1], 16) if match else LARGEST + 1
        if size > LARGEST:
            raise BadChunk("Illegal or missing hexadecimal sequence in chunked-encoding")
        self._left = size
        if not size:
            while (line := self._line()) not in (b"\r\n", b"\n"):
                if b":" not in line and line[:1] not in b" \t":
                    raise BadChunk("a trailer without colon")
            self.is_over = True

    def _line(self) -> bytes:
        line = self._file.readline(LONGEST_LINE + 1)
        self.size += len(line)
        if len(line) > LONGEST_LINE:
            raise BadChunk("a line between the chunks is too long")
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    def _take(self, many: int) -> bytes:
        data = self._file.read(many)
        self.size += len(data)
        if not data:
            raise EOFError
        return data
