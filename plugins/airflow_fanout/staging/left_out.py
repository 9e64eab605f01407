"""What runs that were loaded in part have left out, until a later run of the report has it: a folder for each run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import cast

import msgspec
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.model.as_of import AsOf, Source
from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.errors import JournalDamaged, StagingChanged
from airflow_fanout.staging.filtered import filtered
from airflow_fanout.staging.lines import LinesWriter, read_lines
from airflow_fanout.staging.store import Location, Store, Taken


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """What one run has left out: the first line of its file; each other line is a parameter.

    :param run_id: the run.
    :param as_of: its one date, in UTC and ISO 8601, with which the parameters are requested again.
    :param day: its day in the DAG's time zone, in ISO 8601.
    :param since: when they were left out first.
    :param until: until when the report asks for them again.
    :param count: how many there are.
    :param causes: why they have no good outcome, with their numbers, the most frequent first.
    :param nonce: a random text that tells a file from the one that takes its place.
    """

    run_id: str
    as_of: str
    as_of_from: str
    day: str
    since: datetime
    until: datetime
    count: int
    nonce: str
    causes: Mapping[str, int] = {}

    @property
    def date(self) -> AsOf:
        """The run's one date."""
        source = cast("Source", self.as_of_from)
        return AsOf(moment=datetime.fromisoformat(self.as_of), day=self.day, source=source)


def write_left_out(location: Location, left_out: LeftOut, parameters: Iterable[Json]) -> None:
    """Write what a run leaves out, in the place of what an earlier validation of it has written."""
    with suppress(FileNotFoundError):
        location.delete()
    with LinesWriter(location) as lines:
        lines.append(msgspec.to_builtins(left_out))
        for parameter in parameters:
            lines.append(parameter)


def read_left_out(location: Location) -> LeftOut | None:
    """Return the first line of a file; `None` if it isn't there.

    :raises StagingChanged: when it isn't what was written.
    """
    try:
        [head] = islice(read_lines(location), 1)
        return msgspec.convert(codec.decode(head), LeftOut)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StagingChanged(str(location), "isn't what was written") from error


def left_out_parameters(location: Location, left_out: LeftOut) -> Iterator[Json]:
    """Yield the parameters of a file.

    :raises StagingChanged: when there are more or fewer than its first line says.
    """
    parameters = 0
    for line in islice(read_lines(location), 1, None):
        parameters += 1
        yield codec.decode_known(line)
    if parameters != left_out.count:
        raise StagingChanged(str(location), f"has {parameters:,} parameters, and {left_out.count:,} were left out")


def count_left_out(location: Location, is_wanted: Callable[[Json], bool]) -> int:
    """Return how many parameters of a file are wanted; raise `StagingChanged` when it isn't what was written."""
    left_out = read_left_out(location)
    return 0 if left_out is None else sum(map(is_wanted, left_out_parameters(location, left_out)))


def erase_left_out(location: Location, is_wanted: Callable[[Json], bool]) -> int:
    """Remove parameters from a file, which goes with its last one, and return how many.

    Why they have no good outcome isn't known of each alone: the causes stay as they are.

    :raises StagingChanged: when it isn't what was written.
    """
    left_out, erased = read_left_out(location), count_left_out(location, is_wanted)
    if left_out is None or not erased:
        return 0
    if erased == left_out.count:
        location.delete()
    else:
        head = iter([codec.encode(msgspec.to_builtins(replace(left_out, count=left_out.count - erased)))])
        kept = filtered(location, lambda line: next(head, None if is_wanted(codec.decode_known(line)) else line))
        location.put_whole(kept or b"")
    return erased


class LeftOuts(Location, frozen=True):
    """What the runs of one report have left out."""

    @classmethod
    def of(cls, directory: ListDirectory) -> LeftOuts:
        """Return those of a list's report."""
        return cls(directory.store, layout.left_outs(directory.key))

    def of_run(self, run_id: str) -> RunLeftOut:
        """Return what one run has left out, whether there is anything or not."""
        return RunLeftOut(self.store, f"{self.key}/{layout.file_name(run_id)}")

    def all(self, warn: Callable[[str], None]) -> list[tuple[RunLeftOut, LeftOut]]:
        """Return what there is, the oldest date first.

        :param warn: takes a sentence about what can't be read; it stays where it is.
        """
        there = []
        for name in self.names():
            location = RunLeftOut(self.store, f"{self.key}/{name}")
            try:
                left_out = location.read_head()
            except (StagingChanged, JournalDamaged) as error:
                warn(f"What a run has left out can't be read, and isn't asked for: {error}")
                continue
            if left_out is not None:
                there.append((location, left_out))
        return sorted(there, key=lambda pair: pair[1].as_of)


class RunLeftOut(Location, frozen=True):
    """What one run has left out, and the run that has taken it upon itself to ask for it again."""

    @property
    def file(self) -> Location:
        """The file."""
        return self.below(layout.PARAMETERS)

    def read_head(self) -> LeftOut | None:
        """Return what is known of it; `None` if there is nothing."""
        return read_left_out(self.file)

    def publish(self, written: Location) -> None:
        """Move a file here, once all else of its run is loaded; without that file, nothing is done."""
        if not written.is_there():
            return
        with suppress(Taken):
            self.store.create(f"{self.key}/")
        with suppress(FileNotFoundError):
            self.store.move(written.key, self.file.key)
        # In an object storage, another run's `remove` may have taken the claim away meanwhile.
        with suppress(Taken):
            self.store.create(f"{self.key}/")

    def holder(self) -> str | None:
        """Return the id of the run that asks for it now; `None` if none does."""
        numbers = self.numbers(layout.HELD)
        return self._claim(numbers[-1]).content().decode() if numbers else None

    def take(self, run_id: str, is_alive: Callable[[str], bool]) -> bool:
        """Make a run the one that asks for it, unless another one does, and return whether it is.

        :param is_alive: tells of a run's id whether that run still goes on; what a dead one holds may be taken.
        """
        numbers = self.numbers(layout.HELD)
        holder = self.holder()
        if holder is not None and holder != run_id and is_alive(holder):
            return False
        if holder != run_id:
            try:
                # Of several that take it at the same moment, one succeeds.
                self._claim(max(numbers, default=0) + 1).create(run_id.encode())
            except Taken:
                return False
        return True

    def remove(self) -> None:
        """Forget it: there is nothing left to ask for."""
        with suppress(FileNotFoundError):
            self.file.delete()
        # From the highest on: whatever ends this between two of them, no number is missing below another.
        for number in reversed(self.numbers(layout.HELD)):
            with suppress(FileNotFoundError):
                self._claim(number).delete()
        # Another run that begins at this moment keeps its folder; in an object storage, it gets its claim back.
        with suppress(OSError):
            self.store.delete(f"{self.key}/")
        if self.file.is_there():
            with suppress(Taken):
                self.store.create(f"{self.key}/")

    def _claim(self, number: int) -> Location:
        return Location(self.store, layout.numbered(self.key, layout.HELD, number))


def left_out_by(store: Store, dag_id: str, run_id: str) -> dict[str, LeftOut]:
    """Return what one run of a DAG has left out, by the names of its reports; what can't be read is passed over."""
    reports = Location(store, layout.left_outs_below(layout.file_name(dag_id)))
    left_outs = {}
    for name in sorted(reports.names()):
        with suppress(StagingChanged, JournalDamaged):
            left_out = LeftOuts(store, f"{reports.key}/{name}").of_run(run_id).read_head()
            if left_out is not None:
                left_outs[layout.text_of(name) or name] = left_out
    return left_outs


def forgotten(store: Store, dag_key: str, days: float, warn: Callable[[str], None]) -> list[RunLeftOut]:
    """Return what the runs of a DAG have left out and nobody has asked for since its time was over.

    Of a report that doesn't run any more, parameters would stay for ever.

    :param days: for how long after its time it stays.
    :param warn: takes a sentence about what can't be read.
    """
    before = datetime.now(UTC) - timedelta(days=days)
    reports = Location(store, layout.left_outs_below(dag_key))
    there = [pair for name in reports.names() for pair in LeftOuts(store, f"{reports.key}/{name}").all(warn)]
    return [location for location, left_out in there if left_out.until <= before]
