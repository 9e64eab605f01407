"""The rows of a list that may be very long: written once, then read a page at a time."""

from __future__ import annotations

import io
import threading
import weakref
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile

import msgspec
import zstandard

PAGE_ROWS = 100
# Most lists are short. A longer one lies in a file without a name, which ends with its last reader.
IN_MEMORY_BYTES = 1 << 20


class MissingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter without a good result, as people may see it.

    :param status: the answer's HTTP status; `None` for no answer.
    """

    index: int
    parameter: str
    kind: str
    status: int | None = None
    attempts: int = 0
    message: str = ""

    def has(self, text: str) -> bool:
        """Return whether one of the columns has a text, which is written as `folded` does."""
        columns = (self.index, self.parameter, self.kind, self.status or "", self.attempts, self.message)
        return any(text in folded(str(column)) for column in columns)


class RowFile:
    """Rows in their order, compressed in pages of a hundred; the memory that it takes is flat.

    `count` is the number of rows, `size` that of the compressed bytes.
    """

    def __init__(self, rows: Iterable[MissingRow]) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed when nobody reads it any more
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._starts = array("Q", [0])
        self.count = self.size = 0
        compressor, left = zstandard.ZstdCompressor(), iter(rows)
        while page := list(islice(left, PAGE_ROWS)):
            frame = compressor.compress(msgspec.json.encode(page))
            self._file.write(frame)
            self.count += len(page)
            self.size += len(frame)
            self._starts.append(self.size)

    def rows(self, first: int = 0) -> Iterator[MissingRow]:
        """Yield the rows from a place on, which is counted from 0."""
        for number in range(first // PAGE_ROWS, len(self._starts) - 1):
            yield from _decoded(self._page(number))[max(0, first - number * PAGE_ROWS) :]

    def matching(self, search: str) -> Iterator[MissingRow]:
        """Yield the rows of which one column has this text, whatever its case; an underscore is a space."""
        text = folded(search)
        # As it is in JSON: a page without it needn't be decoded.
        written = msgspec.json.encode(text).decode()[1:-1]
        for number in range(len(self._starts) - 1):
            page = self._page(number)
            if written in folded(page.decode()):
                yield from (row for row in _decoded(page) if row.has(text))

    def _page(self, number: int) -> bytes:
        begin, end = self._starts[number : number + 2]
        with self._lock:
            self._file.seek(begin, io.SEEK_SET)
            frame = self._file.read(end - begin)
        return zstandard.ZstdDecompressor().decompress(frame)


def folded(text: str) -> str:
    """Return a text as searches compare it: the page shows the kind `http_error` as "http error"."""
    return text.casefold().replace("_", " ")


def _decoded(page: bytes) -> list[MissingRow]:
    return msgspec.json.decode(page, type=list[MissingRow])
