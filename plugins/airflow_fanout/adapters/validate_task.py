"""Validate as a task: the results are judged, and its log, metrics and state store say how far that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_fanout.adapters.border import checked_list, list_directory
from airflow_fanout.adapters.metrics import Metrics, of_duration, of_verdict
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.alerts.note import Counts
from airflow_fanout.staging.catch_up import CatchUpList, catch_up_lists
from airflow_fanout.staging.errors import NotFetched
from airflow_fanout.staging.frozen import Manifest, verify_list
from airflow_fanout.staging.left_out import LeftOut
from airflow_fanout.staging.reference import Reference
from airflow_fanout.staging.validated import unmark_validated
from airflow_fanout.validation.errors import ValidationFailed
from airflow_fanout.validation.judge import Demands, Judge
from airflow_fanout.validation.picture import picture_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context, XComArg


class ValidateTask:
    """One run of a validate, from the reference to the list to the summary."""

    def __init__(self, operator: BaseOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._judge: Judge | None = None
        self._demands: Demands | None = None

    def validate(self, reference: Reference | XComArg, demands: Demands, *, catch_up_days: int) -> dict[str, Any]:
        """Judge the results, and return the counts.

        :param catch_up_days: for how many days later runs ask for what is left out.
        :raises ValidationFailed: with the whole account of what is missing or wrong.
        """
        log, metrics = self._operator.log, Metrics(self._operator)
        unmark_validated(list_directory(reference))
        directory, manifest = checked_list(reference)
        self._demands = demands
        left_out = self._left_out(manifest, catch_up_days) if demands.rules.allow_partial else None
        self._judge = judge = Judge(directory, manifest, demands, log.warning, left_out)
        store = TaskState(self._context, log)
        with reported(judge.progress, store):
            judgement = judge.judge()
        store.put(picture_of(judgement))
        metrics.tell(of_verdict(judgement.tally, demands.rules, judgement.findings))
        if not judgement.is_good:
            raise ValidationFailed(judgement.account(str(directory)))
        catch_ups = [self._catch_up(listed, demands) for listed in catch_up_lists(directory, manifest)]
        summary = {**judgement.summary(), "catch_up": [each for each in catch_ups if each is not None]}
        log.info("Validated %s", summary)
        if judgement.left_out:
            log.warning(
                "This run is partial: %s of %s parameters are left out, and the report's next run asks for them first: "
                "%s",
                f"{judgement.left_out:,}",
                f"{manifest.remaining:,}",
                ", ".join(f"{count:,} × {cause}" for cause, count in demands.rules.refused(judgement.tally).items()),
            )
        metrics.tell([of_duration("validate", summary)])
        return summary

    def _left_out(self, manifest: Manifest, catch_up_days: int) -> LeftOut:
        now = datetime.now(UTC)
        return LeftOut(
            run_id=self._context["run_id"],
            as_of=manifest.as_of,
            as_of_from=manifest.as_of_from,
            day=manifest.day,
            since=now,
            until=now + timedelta(days=catch_up_days),
            count=0,
            nonce="",
        )

    def _catch_up(self, listed: CatchUpList, demands: Demands) -> dict[str, Any] | None:
        """Judge what was asked for again of an earlier run, and return the counts; `None` if it wasn't asked for.

        Whatever is wrong with it, this run's own results may be loaded: what isn't good is kept for the next run.
        """
        log = self._operator.log
        if (left_out := listed.is_held_by(self._context["run_id"])) is None:
            return None
        unmark_validated(listed.directory)
        verify_list(listed.directory, listed.manifest)
        try:
            judge = Judge(listed.directory, listed.manifest, demands.of_catch_up(), log.warning, left_out)
        except NotFetched:
            log.warning("%s were not asked for to the end; the next run asks for them again.", listed)
            return None
        judgement = judge.judge()
        summary = {"day": listed.manifest.day, **judgement.tally.summary(), "left_out": judgement.left_out}
        if judgement.is_good:
            return summary
        problems = "; ".join(f"{check}: {problem}" for check, problem in judgement.findings)
        why = problems or "none of them has a valid result"
        log.warning("%s aren't loaded now, and are kept for the next run: %s", listed, why)
        return {**summary, "left_out": listed.manifest.remaining}

    def counts(self) -> Counts | None:
        """Return what is missing, as far as it was counted; `None` before that."""
        if self._judge is None or self._demands is None:
            return None
        tally = self._judge.tally
        refused = self._demands.rules.refused(tally)
        return Counts(total=tally.total, causes={str(cause): count for cause, count in refused.items()})
