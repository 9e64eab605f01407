"""The journal: one record per parameter that has ended, appended as it happens."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import count
from typing import TypeVar

import msgspec

from airflow_fanout import codec
from airflow_fanout.model.outcome import Record, RecordKey
from airflow_fanout.staging.directory import GenerationDirectory, TryDirectory
from airflow_fanout.staging.errors import JournalDamaged, NotAsValidated, StagingChanged
from airflow_fanout.staging.label import check_label, label_of
from airflow_fanout.staging.lines import Hash, LinesWriter, read_lines
from airflow_fanout.staging.store import Location

Line = TypeVar("Line")

PART_BYTES = 8 << 20
PART_AGE_S = 60.0


class JournalWriter:
    """Writes the records of one try into parts; a part is closed by size or by age, and is durable then.

    Records are appended by one thread, and may be written by another: whoever takes their lines writes them.

    :param directory: the try's directory.
    :param clock: the time, in seconds.
    :param numbers: the numbers of the parts; where several processes write one try, they differ.
    :param list_id: the id of the frozen list that the records are about; each part is bound to it.
    :param sent_after_s: after how many seconds a part is closed, and marked as closed, for another process that sends
        it on; `None` if no other process does.
    """

    def __init__(
        self,
        directory: TryDirectory,
        numbers: Iterator[int] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        list_id: str = "",
        sent_after_s: float | None = None,
    ) -> None:
        self._directory = directory
        self._list_id = list_id
        self._clock = clock
        self._numbers = numbers or count()
        self._texts: list[bytes] = []
        self._part: LinesWriter | None = None
        self._begun = 0.0
        self._is_sent = sent_after_s is not None
        self._most_s = PART_AGE_S if sent_after_s is None else sent_after_s
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
            part = self._directory.part(next(self._numbers))
            self._part = LinesWriter(part, label_of(part, self._list_id))
            self._begun = self._clock()
        if self._part is None:
            return
        self._part.write(lines)
        if self._part.written >= PART_BYTES or self._clock() - self._begun >= self._most_s:
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
            if self._is_sent:
                self._directory.mark_closed(self._part.location)
            self._part = None


class Piece(msgspec.Struct):
    """The first bytes of a part, which must be the same each time they are read.

    :param size: how many bytes.
    :param digest: their SHA-256; `None` until they are read for the first time.
    :param is_judged: whether size and digest are those that validate has judged.
    """

    location: Location
    size: int
    digest: str | None = None
    is_judged: bool = False

    def check_size(self) -> None:
        """Check that the part is still there and as long, before anything of it is read.

        :raises NotAsValidated: when it isn't.
        """
        size = self.location.size()
        if size is None:
            raise NotAsValidated(str(self.location), "isn't there any more")
        if size < self.size:
            raise NotAsValidated(str(self.location), f"has {size:,} bytes, and validate has judged {self.size:,}")

    def confirm(self, digest: str) -> None:
        """Check what was read; the first reading says what the others must be.

        :raises NotAsValidated: when validate has judged other bytes.
        :raises StagingChanged: when other bytes were read before.
        """
        if self.digest is None:
            self.digest = digest
        elif self.digest != digest and self.is_judged:
            raise NotAsValidated(str(self.location), "isn't the file that validate has judged")
        elif self.digest != digest:
            raise StagingChanged(str(self.location), "was changed while it was read")


class Snapshot:
    """A generation's records at one moment, the same ones each time they are read.

    A task that Airflow has given up may still be writing: what it appends later is no part of this.

    :param list_id: the id of the list that its parts must belong to; `None` for any.
    :param pieces: what validate has judged; by default all that there is now.
    :raises ForeignPart: for a part that belongs to another list.
    """

    def __init__(
        self, generation: GenerationDirectory, list_id: str | None = None, pieces: Sequence[Piece] | None = None
    ) -> None:
        if pieces is None:
            parts = generation.parts()
            sizes = generation.sizes(parts)
            # An object storage knows a part by name before it has it; whoever died in between left only the name.
            pieces = [Piece(part, sizes[name]) for part in parts if (name := generation.name_of(part)) in sizes]
        self.pieces = pieces
        if list_id is not None:
            for piece in self.pieces:
                check_label(piece.location, list_id)

    def __iter__(self) -> Iterator[Record]:
        for piece in self.pieces:
            digest = hashlib.sha256()
            yield from _read(piece, Record.from_line, digest)
            piece.confirm(digest.hexdigest())

    def refused(self, accepted: Collection[str]) -> Iterator[Record | RecordKey]:
        """Yield the records, in the same order; of those with an accepted outcome, only what they are about."""

        def parse(line: bytes) -> Record | RecordKey:
            # Most results are good, and reading one takes longer than all the rest of its line.
            key = RecordKey.from_line(line)
            return key if key.kind in accepted else Record.from_line(line)

        for piece in self.pieces:
            yield from _read(piece, parse)

    def places(self) -> Iterator[RecordKey]:
        """Yield what each record is about, in the same order."""
        for piece in self.pieces:
            yield from _read(piece, RecordKey.from_line)


def read_places(part: Location, list_id: str | None = None) -> Iterator[RecordKey]:
    """Yield what each record of a part is about.

    :param list_id: the id of the list that the part must belong to; `None` for any.
    :raises JournalDamaged: when its bytes aren't those that were written, or were written for another list.
    """
    if list_id is not None:
        check_label(part, list_id)
    yield from _read(Piece(part, part.size() or 0), RecordKey.from_line)


def _read(piece: Piece, parse: Callable[[bytes], Line], digest: Hash | None = None) -> Iterator[Line]:
    try:
        yield from map(parse, read_lines(piece.location, piece.size, digest))
    except codec.NotJson as error:
        raise JournalDamaged(str(piece.location), str(error)) from error


def read_records(generation: GenerationDirectory) -> Iterator[Record]:
    """Yield a generation's records in the order in which they were written.

    A parameter that was tried again has several: the last one counts.
    """
    return iter(Snapshot(generation))
