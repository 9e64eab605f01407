"""Values that no two results may share."""

from __future__ import annotations

from airflow_fanout import codec
from airflow_fanout.api.result import Absence, PartMissing, ResultPath, check_path, shown
from airflow_fanout.api.result import Path as FieldPath
from airflow_fanout.model.outcome import Record
from airflow_fanout.staging.history import GoodRun
from airflow_fanout.staging.seen import Seen
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.running import CheckContext, RunningCheck, Samples
from airflow_fanout.validation.verdict import show


class Unique(Check, frozen=True):
    """No two good results have the same value in a field.

    :param field: the dotted path of the field in a result, or a tuple where a name has a dot. A result that doesn't
        have it, or null, isn't looked at; if no result has it, the check fails, since the name must be wrong.
    """

    field: FieldPath

    def __post_init__(self) -> None:
        check_path("field", self.field)

    def __str__(self) -> str:
        return f"Unique({shown(self.field)})"

    def watch(self, case: CheckContext) -> RunningCheck:
        """Begin to look at a run."""
        return _UniqueWatch(self.field, case)


class _UniqueWatch(RunningCheck):
    def __init__(self, field: FieldPath, case: CheckContext) -> None:
        self._part = ResultPath(field)
        self._absence = Absence(field)
        self._shown = case.shown
        self._seen = Seen()
        self._found = Samples(case)

    def add(self, record: Record) -> None:
        try:
            value = self._part.of(record.result)
        except PartMissing:
            value = None
        if not self._absence.is_known:
            self._absence.look(record.result)
        if value is not None and not self._seen.add(codec.canonical(value)):
            self._found.add(record, lambda: show(value, shown=self._shown))

    def problem(self, now: GoodRun) -> str | None:  # noqa: ARG002 - other checks compare
        if instead := str(self._absence):
            return f"no result has this field, so nothing was compared; {instead}"
        if not self._found.count:
            return None
        return f"{self._found.count:,} results repeat the value of an earlier one{self._found}"

    def close(self) -> None:
        self._seen.close()
