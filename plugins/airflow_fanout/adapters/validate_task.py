"""Validate as a task: the results are judged, and its log, metrics and state store say how far that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_fanout.adapters.border import airflow_errors, checked_list, list_directory
from airflow_fanout.adapters.metrics import Metrics, of_duration, of_verdict
from airflow_fanout.adapters.noting import noted
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.alerts.note import Counts
from airflow_fanout.staging.reference import Reference
from airflow_fanout.staging.validated import unmark_validated
from airflow_fanout.validation.errors import ValidationFailed
from airflow_fanout.validation.judge import Demands, Judge

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context, XComArg


@contextmanager
def validate_task(operator: BaseOperator, context: Context) -> Iterator[ValidateTask]:
    """Give the task that runs a validate; its failure is noted with what is missing, and is Airflow's."""
    task = ValidateTask(operator, context)
    with noted(context, task.counts), airflow_errors():
        yield task


class ValidateTask:
    """One run of a validate, from the reference to the list to the summary."""

    def __init__(self, operator: BaseOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._judge: Judge | None = None
        self._demands: Demands | None = None

    def validate(self, reference: Reference | XComArg, demands: Demands) -> dict[str, Any]:
        """Judge the results, and return the counts.

        :raises ValidationFailed: with the whole account of what is missing or wrong.
        """
        log, metrics = self._operator.log, Metrics(self._operator)
        unmark_validated(list_directory(reference))
        directory, manifest = checked_list(reference)
        self._demands = demands
        self._judge = judge = Judge(directory, manifest, demands, log.warning)
        with reported(judge.progress, TaskState(self._context, log)):
            judgement = judge.judge()
        metrics.tell(of_verdict(judgement.tally, demands.rules, judgement.findings))
        if not judgement.is_good:
            raise ValidationFailed(judgement.account(str(directory)))
        summary = judgement.summary()
        log.info("Validated %s", summary)
        metrics.tell([of_duration("validate", summary)])
        return summary

    def counts(self) -> Counts | None:
        """Return what is missing, as far as it was counted; `None` before that."""
        if self._judge is None or self._demands is None:
            return None
        tally = self._judge.tally
        refused = self._demands.rules.refused(tally)
        return Counts(total=tally.total, causes={str(cause): count for cause, count in refused.items()})
