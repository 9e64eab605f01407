"""Which byte strings were there before: exact, and flat in memory for any number of them."""

from __future__ import annotations

import os
from struct import Struct
from types import TracebackType
from typing import Self

from airflow_fanout.staging.temporary import unbuffered_file

# With a million members two buckets of five are in use, and one look-up of five goes to the file.
BUCKETS = 1 << 21
TAIL_BYTES = 1 << 18
# Of a member: where the one before it in its bucket lies, counted from 1 (0 is none), and its length.
_HEAD = Struct("<QQ")


class Seen:
    """A set of byte strings in a temporary file, open until it is closed.

    A hash table with chains: memory holds where the newest member of each bucket lies, which takes 16 MB, whatever
    their number; a Python set of a million parameters takes 100 MB. An index on disk, as a database has it, takes the
    longer for each member the more there are.
    """

    def __init__(self) -> None:
        # It has no name: it is gone with the process, however that ends.
        self._file = unbuffered_file()
        self._newest = memoryview(bytearray(8 * BUCKETS)).cast("Q")
        self._tail = bytearray()
        self._written = 0

    def close(self) -> None:
        """Give up file and memory; nothing can be asked or put in afterwards."""
        self._newest.release()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, identity: bytes) -> bool:
        """Put a byte string in; return whether it is new."""
        bucket = hash(identity) % BUCKETS
        newest = self._newest[bucket]
        if newest and self._is_in_chain(newest, identity):
            return False
        self._newest[bucket] = self._written + len(self._tail) + 1
        self._tail += _HEAD.pack(newest, len(identity))
        self._tail += identity
        if len(self._tail) >= TAIL_BYTES:
            rest = memoryview(bytes(self._tail))
            while rest:
                rest = rest[self._file.write(rest) :]
            self._written += len(self._tail)
            self._tail.clear()
        return True

    def __contains__(self, identity: bytes) -> bool:
        return self._is_in_chain(self._newest[hash(identity) % BUCKETS], identity)

    def _is_in_chain(self, place: int, identity: bytes) -> bool:
        # One of another length is another one: no more needs to be read of it.
        size = _HEAD.size + len(identity)
        while place:
            begin = place - 1
            if begin < self._written:
                member = os.pread(self._file.fileno(), size, begin)
            else:
                begin -= self._written
                member = bytes(self._tail[begin : begin + size])
            place, length = _HEAD.unpack_from(member)
            if length == len(identity) and member[_HEAD.size :] == identity:
                return True
        return False
