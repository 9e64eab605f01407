"""What a check gets to know of a run, and how it looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from airflow_fanout.model.outcome import Record
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.validation.verdict import cut, show


class CheckContext(msgspec.Struct, frozen=True, kw_only=True):
    """What checks get to know of a run before they look at its results.

    :param records: returns a new iterator on each call, over one record for each parameter that has any.
    :param history: the good runs of the report.
    :param samples: how many of its findings a check names.
    :param shown: whether parameters and values appear as they are, or masked.
    """

    records: Callable[[], Iterable[Record]]
    history: History
    samples: int = 3
    shown: bool = False


class RunningCheck:
    """A check at work on one run."""

    def add(self, record: Record) -> None:
        """Look at a good result; each one comes by once, in the journal's order."""

    def problem(self, now: GoodRun) -> str | None:
        """Return what is wrong, in words for the report's owner; `None` if nothing is.

        :param now: what the run is like, if nothing is.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give up what was held."""


class Samples:
    """Counts findings, and keeps the first few of them."""

    def __init__(self, case: CheckContext) -> None:
        self.count = 0
        self._most = case.samples
        self._shown = case.shown
        self._kept: list[str] = []

    def add(self, record: Record, say: Callable[[], str] | None = None) -> None:
        """Count a record; `say` gives what is wrong with it, and is called for those that are kept only."""
        self.count += 1
        if len(self._kept) < self._most:
            detail = f": {cut(say())}" if say else ""
            self._kept.append(f"#{record.index} {show(record.parameter, shown=self._shown)}{detail}")

    def __str__(self) -> str:
        return f": {'; '.join(self._kept)}" if self._kept else ""
