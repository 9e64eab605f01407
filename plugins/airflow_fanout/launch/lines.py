"""Lines out of a stream of bytes, in time that grows with the bytes and no faster."""

from __future__ import annotations

# What a task log shows of one line; whoever prints more than this prints a document, not a line.
LONGEST_LINE = 8_192


class Lines:
    """Cuts a stream of bytes into lines; the end of the stream ends the last one.

    :param longest: the most bytes of a line to keep; the rest is counted and dropped. `None` keeps all.
    """

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest
        self._kept = bytearray()
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that end in these bytes; no bytes are the end of the stream."""
        if not data:
            return [self._line()] if self._size else []
        *ends, rest = data.split(b"\n")
        lines = []
        for end in ends:
            self._keep(end)
            lines.append(self._line())
        self._keep(rest)
        return lines

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        self._kept += piece if self._longest is None else piece[: max(0, self._longest - len(self._kept))]

    def _line(self) -> bytes:
        line = bytes(self._kept)
        if self._size > len(line):
            line += f"… (cut: the line has {self._size:,} bytes)".encode()
        self._kept.clear()
        self._size = 0
        return line
