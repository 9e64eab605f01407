"""The journal: one record per parameter that has ended, appended as it happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import TypeVar

from airflow_fanout import codec
from airflow_fanout.errors import JournalDamaged
from airflow_fanout.outcome import Place, Record
from airflow_fanout.staging.directory import GenerationDirectory
from airflow_fanout.staging.lines import LinesWriter, read_lines

Line = TypeVar("Line")

PART_BYTES = 8 << 20
PART_AGE_S = 60.0


class JournalWriter:
    """Writes the records of one try into parts; a part is closed by size or by age, and is durable then.

    Records are appended by one thread, and may be written by another: whoever takes their lines writes them.

    :param directory: the try's directory.
    :param clock: the time, in seconds.
    :param numbers: the numbers of the parts; where several processes write one try, they differ.
    """

    def __init__(
        self, directory: Path, numbers: Iterator[int] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._numbers = numbers or count()
        self._texts: list[bytes] = []
        self._part: LinesWriter | None = None
        self._begun = 0.0
        self.waiting = 0

    def append(self, record: Record) -> None:
        """Add a record."""
        self.extend([record])

    def extend(self, records: Sequence[Record]) -> None:
        """Add records; `waiting` counts the bytes that are not written yet."""
        text = codec.encode_lines(records)
        self._texts.append(text)
        self.waiting += len(text)

    def take(self) -> bytes:
        """Return the lines that wait; they are the caller's to write."""
        texts, self._texts, self.waiting = self._texts, [], 0
        return b"".join(texts)

    def write(self, lines: bytes) -> None:
        """Give lines to the operating system, and close a part that is large or old."""
        if lines and self._part is None:
            self._part = LinesWriter(self._directory / f"part-{next(self._numbers):05d}.jsonl.zst")
            self._begun = self._clock()
        if self._part is None:
            return
        self._part.write(lines)
        if self._part.written >= PART_BYTES or self._clock() - self._begun >= PART_AGE_S:
            self._close_part()

    def flush(self) -> None:
        """Give all records to the operating system."""
        self.write(self.take())

    def close(self) -> None:
        """Write what waits and close the open part; all records are on the disk then."""
        self.flush()
        self._close_part()

    def _close_part(self) -> None:
        if self._part is not None:
            self._part.close()
            self._part = None


class Snapshot:
    """A generation's records at one moment, the same ones each time they are read.

    A task that Airflow has given up may still be writing: what it appends later is no part of this.
    """

    def __init__(self, generation: GenerationDirectory) -> None:
        self._parts = [(part, part.stat().st_size) for part in generation.parts()]

    def __iter__(self) -> Iterator[Record]:
        for part, size in self._parts:
            yield from _read(part, Record.from_line, size)

    def places(self) -> Iterator[Place]:
        """Yield what each record is about, in the same order."""
        for part, size in self._parts:
            yield from _read(part, Place.from_line, size)


def read_places(part: Path) -> Iterator[Place]:
    """Yield what each record of a part is about.

    :raises JournalDamaged: when its bytes aren't those that were written.
    """
    return _read(part, Place.from_line)


def _read(part: Path, parse: Callable[[bytes], Line], size: int = sys.maxsize) -> Iterator[Line]:
    try:
        yield from map(parse, read_lines(part, size))
    except codec.NotJson as error:
        raise JournalDamaged(str(part), str(error)) from error


def read_records(generation: GenerationDirectory) -> Iterator[Record]:
    """Yield a generation's records in the order in which they were written.

    A parameter that was tried again has several: the last one counts.
    """
    return iter(Snapshot(generation))
