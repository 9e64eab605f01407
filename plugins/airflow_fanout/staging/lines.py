"""Compressed JSON lines: the file format of the frozen list and of the journal.

A file is a row of zstd frames, each with a checksum and a whole number of lines. Cut anywhere, it still reads as
the lines of a prefix; a frame whose bytes have changed doesn't read at all.
"""

from __future__ import annotations

import os
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
        self._file = path.open("xb")
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self._lines: list[bytes] = []
        self._waiting = 0
        self.written = 0

    def append(self, value: Json) -> None:
        """Add one line; it is written with the next flush, which comes by itself every 256 KiB."""
        line = codec.encode(value)
        self._lines.append(line)
        self._waiting += len(line) + 1
        if self._waiting >= FRAME_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait as one frame."""
        if not self._lines:
            return
        self._lines.append(b"")
        frame = self._compressor.compress(b"\n".join(self._lines))
        self._lines.clear()
        self._waiting = 0
        self._file.write(frame)
        self._file.flush()
        self.written += len(frame)

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


def read_lines(path: Path) -> Iterator[bytes]:
    """Yield the whole lines of a file, without their line breaks; a torn last line is left out.

    :raises JournalDamaged: when a frame's checksum is wrong or the bytes aren't zstd.
    """
    rest = b""
    for chunk in _decompressed(path):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        yield from lines


def _decompressed(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        while True:
            try:
                chunk = reader.read(_CHUNK_BYTES)
            except zstandard.ZstdError as error:
                raise JournalDamaged(str(path), str(error)) from error
            if not chunk:
                return
            yield chunk
