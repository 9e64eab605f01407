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
        if self.is_over:
            return b""
        if not self._left and not self._begin():
            return b""
        data = self._file.read(min(most, self._left))
        self.size += len(data)
        if not data:
            raise EOFError
        self._left -= len(data)
        if not self._left:
            self._end_chunk()
        return data

    def _begin(self) -> bool:
        """Read a chunk's size; return whether it is one with data."""
        self._left = size_of(self._line())
        if not self._left:
            self._skip_trailers()
            self.is_over = True
        return not self.is_over

    def _end_chunk(self) -> None:
        while (sign := self._take(1)) != b"\n":
            if sign != b"\r":
                raise BadChunk("Malformed encoding found in chunked-encoding")

    def _skip_trailers(self) -> None:
        while True:
            line = self._line()
            if line in (b"\r\n", b"\n"):
                return
            if b":" not in line and line[:1] not in b" \t":
                raise BadChunk("a trailer without colon")

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


def size_of(line: bytes) -> int:
    """Return the size that a chunk's first line names; raise `BadChunk` if it names none."""
    found = _SIZE.fullmatch(line)
    size = int(found[1], 16) if found else LARGEST + 1
    if size > LARGEST:
        raise BadChunk("Illegal or missing hexadecimal sequence in chunked-encoding")
    return size
