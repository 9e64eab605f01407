"""Which runs of a report have failed, until one is good again: a small file for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from airflow_fanout import codec
from airflow_fanout.staging.directory import file_name
from airflow_fanout.staging.files import PRIVATE, make_folder, read_file, write_whole
from airflow_fanout.staging.listing import is_there, listed

# What made a run: only these follow each other in time. The runs of a backfill don't speak for each other.
IN_ORDER = ("scheduled", "manual", "asset_triggered")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run, as far as it matters whether it makes good what another one missed.

    :param as_of: the run's one date, in UTC.
    :param made_by: Airflow's type of the run: "scheduled", "manual", "backfill", …
    :param started: when it began (last, if it was cleared).
    """

    run_id: str
    as_of: datetime
    made_by: str
    started: datetime


class OpenFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A failed run whose recovery isn't reported yet.

    :param since: when it failed first.
    """

    run_id: str
    as_of: datetime
    made_by: str
    since: datetime

    def is_completed_by(self, run: Run) -> bool:
        """Return whether a good run has this one's results: it is the same one, cleared, or of the same date."""
        return run.run_id == self.run_id or run.as_of == self.as_of

    def is_followed_by(self, run: Run) -> bool:
        """Return whether a good run shows that the trouble is over.

        One of a later date that was begun after the failure; one that ran beside it says nothing.
        """
        alike = run.made_by == self.made_by and run.made_by in IN_ORDER
        return alike and run.as_of > self.as_of and run.started >= self.since

    def ends_with(self, run: Run) -> bool:
        """Return whether a good run is this failure's recovery."""
        return self.is_completed_by(run) or self.is_followed_by(run)


class OpenFailures(msgspec.Struct, frozen=True):
    """The failed runs of a DAG, a file each.

    :param mode: the mode of the folders that are made.
    """

    path: Path
    mode: int = PRIVATE

    @classmethod
    def of(cls, staging: Path, dag_id: str, mode: int = PRIVATE) -> OpenFailures:
        """Return those of a DAG."""
        return cls(staging / file_name(dag_id) / ".history" / "failed", mode)

    def add(self, failure: OpenFailure) -> None:
        """Remember a failure; of a run that fails again, the first one stays."""
        make_folder(self.path, self.mode)
        if not is_there(place := self._place(failure)):
            write_whole(place, codec.encode(failure))

    def end(self, run: Run) -> list[OpenFailure]:
        """Take away the failures that a good run ends, the oldest first; each is given to one caller only."""
        return sorted(self._taken(run), key=lambda failure: failure.since)

    def _taken(self, run: Run) -> Iterator[OpenFailure]:
        for failure in self._ending(run):
            try:
                self._place(failure).unlink()
            except FileNotFoundError:
                # Another run that became good at the same moment tells of it.
                continue
            yield failure

    def _ending(self, run: Run) -> Iterable[OpenFailure]:
        return [failure for failure in self._all() if failure.ends_with(run)]

    def _all(self) -> Iterator[OpenFailure]:
        for entry in listed(self.path):
            # Files that are still being written, and those of an editor, begin with a dot.
            if not entry.name.endswith(".json") or entry.name.startswith(".") or not entry.is_file():
                continue
            try:
                yield msgspec.convert(codec.decode(read_file(Path(entry.path))), OpenFailure)
            except (FileNotFoundError, ValueError):
                # Taken meanwhile, or no failure: neither is one to tell of.
                continue

    def _place(self, failure: OpenFailure) -> Path:
        return self.path / f"{file_name(failure.run_id)}.json"
