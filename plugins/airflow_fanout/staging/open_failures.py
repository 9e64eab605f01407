"""Which runs of a report have failed, until one is good again: a small file for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

import msgspec

from airflow_fanout import codec
from airflow_fanout.staging import layout
from airflow_fanout.staging.errors import StagingChanged
from airflow_fanout.staging.store import Location, Store, Taken

# What made a run: only these follow each other in time. The runs of a backfill don't speak for each other.
IN_ORDER = ("scheduled", "manual", "asset_triggered")


class ReportRun(msgspec.Struct, frozen=True, kw_only=True):
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

    def is_completed_by(self, run: ReportRun) -> bool:
        """Return whether a good run has this one's results: it is the same one, cleared, or of the same date."""
        return run.run_id == self.run_id or run.as_of == self.as_of

    def ends_with(self, run: ReportRun) -> bool:
        """Return whether a good run is this failure's recovery: it has its results, or shows that the trouble is over.

        One of a later date that was begun after the failure shows that; one that ran beside it says nothing.
        """
        alike = run.made_by == self.made_by and run.made_by in IN_ORDER
        is_over = alike and run.as_of > self.as_of and run.started >= self.since
        return is_over or self.is_completed_by(run)


class OpenFailures(Location, frozen=True):
    """The failed runs of a DAG, an object each."""

    @classmethod
    def of(cls, store: Store, dag_id: str) -> OpenFailures:
        """Return those of a DAG."""
        return cls(store, layout.failures(dag_id))

    def add(self, failure: OpenFailure) -> None:
        """Remember a failure; of a run that fails again, the first one stays."""
        with suppress(Taken):
            self.store.create(layout.failure(self.key, failure.run_id), codec.encode(failure))

    def end(self, run: ReportRun) -> list[OpenFailure]:
        """Take away the failures that a good run ends, the oldest first; each is given to one caller only."""
        taken = []
        for failure in self.failures():
            # Another run that became good at the same moment tells of what it has taken.
            with suppress(FileNotFoundError):
                if failure.ends_with(run):
                    self.store.delete(layout.failure(self.key, failure.run_id))
                    taken.append(failure)
        return sorted(taken, key=lambda failure: failure.since)

    def failures(self) -> Iterator[OpenFailure]:
        """Yield those that there are."""
        for key in layout.failure_keys(self.key, self.store.names(self.key)):
            # Taken meanwhile, no object, or no failure: none is one to tell of.
            with suppress(FileNotFoundError, StagingChanged, ValueError):
                yield msgspec.convert(codec.decode(Location(self.store, key).content()), OpenFailure)
