"""A file of compressed lines with some of them changed: written again as a whole, its other frames byte for byte."""

from __future__ import annotations

from collections.abc import Callable

import zstandard

from airflow_fanout.staging.errors import JournalDamaged
from airflow_fanout.staging.store import Location

# Of a file, this much is looked at for the end of a frame; most frames are a tenth of it.
WINDOW_BYTES = 1 << 20


def filtered(location: Location, changed: Callable[[bytes], bytes | None]) -> bytes | None:
    """Return what a file is to hold after a change; `None` if that is what it holds.

    What isn't a whole frame at its end is left out: it may be a part of a line, and nobody can read it.

    :param changed: returns what is to stand in the place of a line; `None` for nothing.
    :raises FileNotFoundError: when it isn't there.
    :raises JournalDamaged: when a frame's checksum is wrong or the bytes aren't zstd.
    """
    content = location.content()
    rest, pieces = memoryview(content), []
    try:
        while rest and (frame := _next_frame(rest)) is not None:
            size, lines = frame
            pieces.append(_changed_frame(rest[:size], lines, changed))
            rest = rest[size:]
    except zstandard.ZstdError as error:
        raise JournalDamaged(str(location), str(error)) from error
    new = b"".join(pieces)
    return None if new == content else new


def _next_frame(content: memoryview) -> tuple[int, bytes] | None:
    """Return the size of the first frame, and its lines; `None` if it is torn."""
    frame, lines, read = zstandard.ZstdDecompressor().decompressobj(), [], 0
    while read < len(content):
        window = content[read : read + WINDOW_BYTES]
        lines.append(frame.decompress(window))
        read += len(window)
        if frame.eof:
            return read - len(frame.unused_data), b"".join(lines)
    return None


def _changed_frame(frame: memoryview, lines: bytes, changed: Callable[[bytes], bytes | None]) -> bytes | memoryview:
    before = lines.split(b"\n")[:-1]
    after = [line for line in map(changed, before) if line is not None]
    if after == before:
        return frame
    if not after:
        return b""
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
    return compressor.compress(b"\n".join([*after, b""]))
