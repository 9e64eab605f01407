"""Compressed JSON lines: the file format of the frozen list and of the journal.

A file is a row of zstd frames, each with a checksum and a whole number of lines. Cut anywhere, it still reads as
the lines of its whole frames; of a frame whose bytes have changed, no line is given out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import zstandard

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.errors import JournalDamaged

FRAME_BYTES = 1 << 18
_CHUNK_BYTES = 1 << 17


class LinesWriter:
    """Appends JSON values to a new file; what was flushed survives the death of the process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self._lines: list[bytes] = []
        self._waiting = 0
        self.written = 0

    def append(self, value: Json) -> None:
        """Add one line; it is written with the next flush, which comes by itself every 256 KiB."""
        self.append_line(codec.encode(value))

    def append_line(self, line: bytes) -> None:
        """Add a value that is written already, without a line break."""
        self._lines.append(line)
        self._waiting += len(line) + 1
        if self._waiting >= FRAME_BYTES:
            self.flush()

    def write(self, lines: bytes) -> None:
        """Write whole lines, each with its line break, in frames of about 256 KiB."""
        start = 0
        while start < len(lines):
            end = lines.find(b"\n", start + FRAME_BYTES) + 1 or len(lines)
            self._write(memoryview(lines)[start:end])
            start = end

    def flush(self) -> None:
        """Write the lines that wait as one frame."""
        if not self._lines:
            return
        self._lines.append(b"")
        lines = b"\n".join(self._lines)
        self._lines.clear()
        self._waiting = 0
        self._write(lines)

    def _write(self, lines: bytes | memoryview) -> None:
        frame = self._compressor.compress(lines)
        self._write_frame(frame)
        self.written += len(frame)

    def _write_frame(self, frame: bytes) -> None:
        rest = memoryview(frame)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            # That a disk is full helps those who know which one; the error of a write names no file.
            error.filename = error.filename or str(self._file.name)
            # The disk is full. Half a frame with others after it would take the whole file with it.
            self._file.truncate(self.written)
            self._file.seek(self.written)
            raise

    def close(self) -> None:
        """Write what waits, and return when the disk has it."""
        self.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> LinesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_lines(path: Path, size: int = sys.maxsize) -> Iterator[bytes]:
    """Yield the lines of a file, or of its first `size` bytes, without their line breaks.

    A frame is read to its end, where the checksum is, before its first line is given out; one that was torn at the
    end of the file is left out.

    :raises JournalDamaged: when a frame's checksum is wrong or the bytes aren't zstd.
    """
    try:
        for frame in _frames(path, size):
            yield from frame.split(b"\n")[:-1]
    except zstandard.ZstdError as error:
        raise JournalDamaged(str(path), str(error)) from error


def _frames(path: Path, size: int) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor()
    frame, pieces = decompressor.decompressobj(), []
    for chunk in _chunks(path, size):
        rest = chunk
        while rest:
            pieces.append(frame.decompress(rest))
            rest = frame.unused_data
            if frame.eof:
                yield b"".join(pieces)
                frame, pieces = decompressor.decompressobj(), []


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(min(_CHUNK_BYTES, size)):
            size -= len(chunk)
            yield chunk
