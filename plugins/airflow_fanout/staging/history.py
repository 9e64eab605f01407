"""What the good runs of a report were like, so that a run can be compared with them."""

from __future__ import annotations

import msgspec

from airflow_fanout import codec
from airflow_fanout.staging.store import Location

# Once the file is larger than LARGEST_BYTES, about twice what these need, only the newest runs are kept: this many.
MOST_RUNS = 1_000
LARGEST_BYTES = 250_000


class GoodRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was like that has passed validation.

    :param as_of: its date, in ISO 8601 and UTC, so that texts are ordered as the dates are.
    :param parameters: the number of parameters.
    :param rows: the number of rows: items of results that are lists, else results.
    :param null_share: the share of `null` outcomes, from 0 to 1.
    """

    as_of: str
    parameters: int
    rows: int
    null_share: float


class History(msgspec.Struct, frozen=True):
    """The good runs of one report, a line each, in an object that may not be there yet."""

    location: Location

    def before(self, as_of: str) -> list[GoodRun]:
        """Return the runs of the dates before one, the newest last: a backfill isn't compared with its future."""
        return [run for run in self._runs() if run.as_of < as_of]

    def add(self, run: GoodRun) -> None:
        """Remember a run; a repeated one takes the place of the one with its date.

        Runs that end at the same moment append one line each.
        """
        # A line that a full disk has cut must not spoil this one: it ends with the first line break.
        self.location.append(b"\n" + codec.encode_lines([run]))
        if (self.location.size() or 0) > LARGEST_BYTES:
            self.location.put_whole(codec.encode_lines(self._runs()[-MOST_RUNS:]))

    def _runs(self) -> list[GoodRun]:
        # A line that holds no run is no reason to fail: there is a run less to compare with.
        # A run that was repeated has several lines: the last one counts.
        runs = {run.as_of: run for run in self._lines() if run}
        return [runs[as_of] for as_of in sorted(runs)]

    def unreadable(self) -> int:
        """Return how many lines hold no run: a full disk has cut them, or somebody has changed the file."""
        return sum(run is None for run in self._lines())

    def _lines(self) -> list[GoodRun | None]:
        """Return the run of each line; `None` for a line that holds none."""
        try:
            lines = self.location.content().splitlines()
        except FileNotFoundError:
            return []
        runs: list[GoodRun | None] = []
        for line in filter(None, lines):
            try:
                runs.append(msgspec.convert(codec.decode(line), GoodRun))
            except ValueError:
                runs.append(None)
        return runs
