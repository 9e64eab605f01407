"""How many results may be empty."""

from __future__ import annotations

from airflow_fanout.model.outcome import Record
from airflow_fanout.model.settings import check_share
from airflow_fanout.staging.history import GoodRun
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.running import CheckContext, RunningCheck, Samples
from airflow_fanout.validation.rules import share_of


class MaxEmpty(Check, frozen=True):
    """At most a share of the good results is empty: `[]`, `{}` or `""`.

    :param share: from 0 to 1.
    """

    share: float

    def __post_init__(self) -> None:
        check_share("share", self.share)

    def __str__(self) -> str:
        return f"MaxEmpty({self.share!r})"

    def watch(self, case: CheckContext) -> RunningCheck:
        """Begin to look at a run."""
        return _EmptyWatch(self.share, case)


class _EmptyWatch(RunningCheck):
    def __init__(self, share: float, case: CheckContext) -> None:
        self._share = share
        self._good = 0
        self._found = Samples(case)

    def add(self, record: Record) -> None:
        self._good += 1
        if record.result in ([], {}, ""):
            self._found.add(record)

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        if share_of(self._found.count, self._good) <= self._share:
            return None
        return (
            f"{self._found.count:,} of {self._good:,} results are empty, "
            f"and {100 * self._share:g} % may be{self._found}"
        )
