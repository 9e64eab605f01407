"""Whether a run is like the good ones before it."""

from __future__ import annotations

from fractions import Fraction

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.settings import check_at_least, check_share, check_whole
from airflow_fanout.staging.history import MOST_RUNS, GoodRun, History
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.running import CheckContext, RunningCheck
from airflow_fanout.validation.rules import share_of


class Drift(Check, frozen=True, kw_only=True):
    """The run is like the last good ones of earlier dates: about as many rows, and hardly more nulls.

    A row is an item of a result that is a list, else a result. Compared with the median, so that one odd run among
    the last ones doesn't matter.

    :param rows: by what share the number of rows may differ, from 0 on; 0.5 is from half to one and a half times.
    :param nulls: by how much the share of `null` outcomes may be larger, from 0 to 1.
    :param runs: how many good runs to look back.
    :param at_least: with fewer good runs than these there is nothing to compare with, and nothing is wrong.
    """

    rows: float = 0.5
    nulls: float = 0.1
    runs: int = 7
    at_least: int = 3

    def __post_init__(self) -> None:
        check_at_least("rows", self.rows, 0)
        check_share("nulls", self.nulls)
        check_whole("runs", self.runs)
        check_whole("at_least", self.at_least)
        if self.runs > MOST_RUNS:
            raise BadSetting("runs", self.runs, f"at most {MOST_RUNS:,}, since no more are remembered")
        if self.at_least > self.runs:
            raise BadSetting("at_least", self.at_least, f"at most runs={self.runs}, or nothing is ever compared")

    def __str__(self) -> str:
        return "Drift"

    def watch(self, case: CheckContext) -> RunningCheck:
        """Begin to look at a run."""
        return _DriftWatch(self, case.history)


class _DriftWatch(RunningCheck):
    def __init__(self, check: Drift, history: History) -> None:
        self._check = check
        self._history = history

    def problem(self, now: GoodRun) -> str | None:
        # A DAG file that is parsed compares nothing.
        from statistics import median

        past = self._history.before(now.as_of)[-self._check.runs :]
        if len(past) < self._check.at_least:
            return None
        drifts = []
        rows = Fraction(median(run.rows for run in past))
        if share_of(abs(now.rows - rows), rows) > self._check.rows:
            drifts.append(f"{now.rows:,} rows, usually {float(rows):,.0f}")
        nulls = median(run.null_share for run in past)
        # Rounded, since a difference of floats is a little beside the one that is meant.
        if round(now.null_share - nulls, 9) > self._check.nulls:
            drifts.append(f"{100 * now.null_share:.1f} % of the outcomes are null, usually {100 * nulls:.1f} %")
        if not drifts:
            return None
        return (
            f"{'; '.join(drifts)} (the median of {len(past)} good runs). "
            f"If this is the new normal, remove {self._history.location}: the next runs start a new comparison."
        )
