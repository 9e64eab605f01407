"""The journal against the frozen list: which record counts for each parameter, and which has none."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterable, Iterator

from airflow_fanout.model.outcome import Record, RecordKey


class LatestRecords:
    """For each index of a range, which of its records counts: the last one. Four bytes per parameter."""

    def __init__(self, indexes: range) -> None:
        self._indexes = indexes
        self._ordinals = array("I", bytes(4 * len(indexes)))

    def note(self, ordinal: int, index: int) -> None:
        """Note that the record number `ordinal` (counted from 0) is about `index`."""
        if index in self._indexes:
            self._ordinals[index - self._indexes.start] = ordinal + 1

    def counts(self, ordinal: int, index: int) -> bool:
        """Return whether this record is the one that counts for its index."""
        return index in self._indexes and self._ordinals[index - self._indexes.start] == ordinal + 1

    @property
    def count(self) -> int:
        """How many indexes have a record."""
        return len(self._ordinals) - self._ordinals.count(0)

    def missing(self) -> Iterator[int]:
        """Yield the indexes without a record."""
        return (index for index, ordinal in zip(self._indexes, self._ordinals, strict=True) if not ordinal)


def winners(records: Iterable[RecordKey | Record], indexes: range) -> LatestRecords:
    """Return which records count."""
    found = LatestRecords(indexes)
    for ordinal, record in enumerate(records):
        found.note(ordinal, record.index)
    return found


def counting(records: Iterable[Record], chosen: LatestRecords) -> Generator[Record, None, int]:
    """Yield the records that count, in the journal's order, and return how many they were."""
    count = 0
    for ordinal, record in enumerate(records):
        if chosen.counts(ordinal, record.index):
            count += 1
            yield record
    return count


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
