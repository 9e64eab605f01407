"""The journal against the frozen list: which record counts for each parameter, and which has none."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import TypeVar

from airflow_fanout.model.outcome import Record, RecordKey

Line = TypeVar("Line", bound=Record | RecordKey)


class LatestRecords:
    """For each index of a range, which of its records counts: the last one. Four bytes per parameter."""

    def __init__(self, records: Iterable[RecordKey | Record], indexes: range) -> None:
        self._indexes = indexes
        # The number of the record that counts, from 1 on; 0 where there is none.
        self._ordinals = array("I", bytes(4 * len(indexes)))
        for ordinal, record in enumerate(records, start=1):
            if record.index in indexes:
                self._ordinals[record.index - indexes.start] = ordinal

    def of(self, records: Iterable[Line]) -> Iterator[Line]:
        """Yield those of the same records that count, in the journal's order."""
        for ordinal, record in enumerate(records, start=1):
            index = record.index
            if index in self._indexes and self._ordinals[index - self._indexes.start] == ordinal:
                yield record

    @property
    def count(self) -> int:
        """How many indexes have a record."""
        return len(self._ordinals) - self._ordinals.count(0)

    def missing(self) -> Iterator[int]:
        """Yield the indexes without a record."""
        return (index for index, ordinal in zip(self._indexes, self._ordinals, strict=True) if not ordinal)


class CompletedSet:
    """Which indexes of a range have a good outcome: a bit each."""

    def __init__(self, indexes: range) -> None:
        self._indexes = indexes
        self._bits = bytearray(len(indexes) // 8 + 1)
        self.count = 0

    def __contains__(self, index: int) -> bool:
        if index not in self._indexes:
            return False
        place = self._indexes.index(index)
        return bool(self._bits[place >> 3] >> (place & 7) & 1)

    def set(self, index: int, *, good: bool) -> None:
        """Note an outcome; a later one overrules an earlier one."""
        if index not in self._indexes or (index in self) == good:
            return
        place = self._indexes.index(index)
        self._bits[place >> 3] ^= 1 << (place & 7)
        self.count += 1 if good else -1

    def add(self, index: int) -> bool:
        """Note that nothing is left to do for an index of the range; return whether that is new."""
        if index not in self._indexes or index in self:
            return False
        self.set(index, good=True)
        return True
