"""The checks of a report at work on one run."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Self

from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.staging.history import GoodRun
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.running import CheckContext
from airflow_fanout.validation.verdict import Finding


class Inspection:
    """The checks of a report at work on one run, until they are closed."""

    def __init__(self, checks: Iterable[Check], case: CheckContext) -> None:
        self._open = ExitStack()
        self._watches = [(str(check), self._open.enter_context(closing(check.watch(case)))) for check in checks]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, record: Record) -> None:
        """Show a record to all checks."""
        if record.kind is Kind.OK:
            for _, watch in self._watches:
                watch.add(record)

    def findings(self, now: GoodRun) -> list[Finding]:
        """Return the checks that fail, once all records were shown."""
        problems = [(check, watch.problem(now)) for check, watch in self._watches]
        return [Finding(check, problem) for check, problem in problems if problem]
