"""Compressed JSON lines: the file format of the frozen list and of the journal.

A file is a row of zstd frames, each with a checksum and a whole number of lines. Cut anywhere, it still reads as
the lines of its whole frames; of a frame whose bytes have changed, no line is given out.

A file may begin with a label that says what it belongs to: a skippable frame (RFC 8878, 3.1.2), which every zstd
program passes over.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from struct import Struct
from types import TracebackType
from typing import Protocol

import zstandard

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.staging.errors import JournalDamaged
from airflow_fanout.staging.store import Location

FRAME_BYTES = 1 << 18
# A skippable frame: a magic number that says it is one, and the length of what follows.
LABEL = Struct("<II")
_LABEL_MAGIC = 0x184D2A5F
_LONGEST_LABEL = 4096


class LinesWriter:
    """Appends JSON values to a new file; what was flushed survives the death of the process.

    :param location: where; `FileExistsError` is raised if something is there.
    :param label: what the file belongs to; `read_label` gives it back.
    """

    def __init__(self, location: Location, label: bytes = b"") -> None:
        head = labelled(label) if label else b""
        self.location = location
        self._file = location.begin(head)
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self._lines: list[bytes] = []
        self._waiting = 0
        self.written = len(head)

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
        self._file.write(frame)
        self.written += len(frame)

    def close(self) -> None:
        """Write what waits, and return when the disk has it."""
        self.flush()
        self._file.close()

    def __enter__(self) -> LinesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def labelled(label: bytes) -> bytes:
    """Return a label as a file begins with it."""
    return LABEL.pack(_LABEL_MAGIC, len(label)) + label


def whole_frames(content: bytes) -> bytes:
    """Return the frames at the beginning of a piece of a file without one that is torn at its end."""
    rest = content
    while rest:
        frame = zstandard.ZstdDecompressor().decompressobj()
        frame.decompress(rest)
        if not frame.eof:
            break
        rest = frame.unused_data
    return content[: len(content) - len(rest)]


class Hash(Protocol):
    """What takes the bytes of a file as they are read, such as an object of `hashlib`."""

    def update(self, chunk: bytes, /) -> None:
        """Take the next bytes."""


def read_label(location: Location) -> bytes | None:
    """Return the label of a file; `None` if it has none, also because it is torn before its end."""
    head = b"".join(location.read(LABEL.size + _LONGEST_LABEL))
    if len(head) < LABEL.size:
        return None
    magic, length = LABEL.unpack_from(head)
    label = head[LABEL.size : LABEL.size + length]
    return label if magic == _LABEL_MAGIC and len(label) == length else None


def read_lines(location: Location, size: int = sys.maxsize, digest: Hash | None = None) -> Iterator[bytes]:
    """Yield the lines of a file, or of its first `size` bytes, without their line breaks.

    A frame is read to its end, where the checksum is, before its first line is given out; one that was torn at the
    end of the file is left out.

    :param digest: takes the bytes of the file as they are on the disk.
    :raises JournalDamaged: when a frame's checksum is wrong or the bytes aren't zstd.
    """
    for frame in read_frames(location, size, digest):
        yield from frame.split(b"\n")[:-1]


def read_frames(location: Location, size: int = sys.maxsize, digest: Hash | None = None) -> Iterator[bytes]:
    """Yield the lines of a file as `read_lines` does, those of a frame as one piece.

    :raises JournalDamaged: when a frame's checksum is wrong or the bytes aren't zstd.
    """
    try:
        yield from _frames(location, size, digest)
    except zstandard.ZstdError as error:
        raise JournalDamaged(str(location), str(error)) from error


def _frames(location: Location, size: int, digest: Hash | None) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor()
    frame, pieces = decompressor.decompressobj(), []
    for chunk in location.read(size):
        if digest is not None:
            digest.update(chunk)
        rest = chunk
        while rest:
            pieces.append(frame.decompress(rest))
            rest = frame.unused_data
            if frame.eof:
                yield b"".join(pieces)
                frame, pieces = decompressor.decompressobj(), []
