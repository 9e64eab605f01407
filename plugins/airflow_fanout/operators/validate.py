"""validate: nothing is loaded that the report's owner wouldn't want."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context, XComArg

from airflow_fanout.adapters.border import Reference, airflow_errors, checked_list, list_directory
from airflow_fanout.adapters.bound import bind, resolved
from airflow_fanout.adapters.lineage import HasLineage, Lineage, journal, report_of
from airflow_fanout.adapters.metrics import Metrics, of_duration, of_verdict
from airflow_fanout.adapters.noting import noted
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.adapters.templates import TextTemplates
from airflow_fanout.alerts.note import Counts
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.settings import check_flag, check_whole
from airflow_fanout.operators.parsed import check_list
from airflow_fanout.staging.files import mode_of
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.history import GoodRun, History
from airflow_fanout.staging.results import Results, check_fetched
from airflow_fanout.staging.validated import mark_validated, unmark_validated
from airflow_fanout.validation.checks.custom import CustomCheck
from airflow_fanout.validation.checks.drift import Drift
from airflow_fanout.validation.checks.listed import Check, to_checks
from airflow_fanout.validation.checks.running import CheckContext
from airflow_fanout.validation.errors import ValidationFailed
from airflow_fanout.validation.inspection import Inspection
from airflow_fanout.validation.judging import Judging
from airflow_fanout.validation.verdict import Finding, Rules, Tally, account


class ValidateOperator(TextTemplates, BaseOperator, HasLineage):
    """Reconcile the journal with the frozen list, and fail the run, without retry, if results are missing or wrong.

    :param parameters: the output of the report's `ExtractOperator`.
    :param allow: kinds of outcome besides `ok` that are no reason to fail, such as `("null",)`.
    :param min_coverage: the least share of parameters, from 0 to 1, whose outcome must be `ok` or allowed.
    :param checks: what else the results must be: `ResultSchema`, `Unique`, `MaxEmpty`, `Drift`, `CustomCheck`.
    :param samples: how many parameters of each cause, and of each check that failed, the message shows, masked.
    :param show_parameters: whether the samples may be shown as they are, because they are no personal data.

    Everything is judged before anything fails, so that one message has all of it: the counts, the causes grouped, and
    what each check has found. Returns the counts.
    """

    template_fields: Sequence[str] = ("parameters",)
    ui_color = "#dff0d8"

    def __init__(
        self,
        *,
        parameters: Reference | XComArg,
        allow: Sequence[str] = (),
        min_coverage: float = 1.0,
        checks: Sequence[Check] = (),
        samples: int = 3,
        show_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_list("parameters", parameters)
        check_flag("show_parameters", show_parameters)
        self.parameters = parameters
        self.rules = Rules(allow=_kinds(allow), min_coverage=min_coverage)
        self.checks = to_checks(checks)
        for check in self.checks:
            if isinstance(check, CustomCheck):
                bind(self, "CustomCheck", check.function)
        check_whole("samples", samples, least=0)
        self.samples = samples
        self.show_parameters = show_parameters
        self._tally: Tally | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge the results."""
        with noted(context, self._counts), airflow_errors():
            begun = time.monotonic()
            self.checks = tuple(_resolved(check, context) for check in self.checks)
            unmark_validated(list_directory(self.parameters))
            directory, manifest = checked_list(self.parameters)
            check_fetched(directory, manifest)
            history = History(directory.history)
            self._tally = tally = Tally(total=manifest.count, samples=self.samples, shown=self.show_parameters)
            judging = Judging(manifest.count)
            with reported(judging, context):
                results = Results(directory, manifest)
                findings = self._judge(results, history, tally, manifest, judging)
            Metrics(self).tell(of_verdict(tally, self.rules, findings))
            if findings or not self.rules.accept(tally):
                text = account(tally, self.rules, str(directory.path), findings, len(self.checks))
                raise ValidationFailed(text)
            mark_validated(directory, results.validated(tally.kinds))
            if not manifest.partial:
                self._remember(history, _run(manifest, tally), mode_of(directory.path))
            return self._summary(tally, time.monotonic() - begun)

    def lineage(self) -> Lineage:
        """Return the journal."""
        return Lineage(inputs=(journal(report_of(self.parameters)),))

    def _judge(
        self, results: Results, history: History, tally: Tally, manifest: Manifest, judging: Judging
    ) -> list[Finding]:
        """Count all records, and return the checks that fail."""
        case = CheckContext(
            records=lambda: judging.watched("A check reads the results again", results.records()),
            history=history,
            samples=self.samples,
            shown=self.show_parameters,
        )
        # A run for a part of the list is as unlike the others as it was meant to be.
        checks = [check for check in self.checks if not (manifest.partial and isinstance(check, Drift))]
        if any(isinstance(check, Drift) for check in checks) and (unreadable := history.unreadable()):
            self.log.warning(
                "%d lines of the history, %s, can't be read, and Drift compares with the other runs only. Remove these "
                "lines; remove the file to begin a new history.",
                unreadable,
                history.path,
            )
        with Inspection(checks, case) as inspection:
            for record in judging.watched("Judging the results", results.records()):
                tally.add(record)
                inspection.add(record)
            tally.add_not_tried(results.missing())
            return inspection.findings(_run(manifest, tally))

    def _counts(self) -> Counts | None:
        if self._tally is None:
            return None
        refused = self.rules.refused(self._tally)
        return Counts(total=self._tally.total, causes={str(cause): count for cause, count in refused.items()})

    def _remember(self, history: History, run: GoodRun, mode: int) -> None:
        try:
            history.add(run, mode)
        except OSError:
            # The results are good, whatever later runs can be compared with.
            self.log.warning("This run could not be added to the history, %s", history.path, exc_info=True)

    def _summary(self, tally: Tally, seconds: float) -> dict[str, Any]:
        summary = {
            **tally.summary(),
            "coverage": self.rules.coverage(tally),
            "rows": tally.rows,
            "checks": len(self.checks),
            "seconds": round(seconds, 3),
            "rate_per_s": round(tally.total / seconds, 1),
        }
        self.log.info("Validated %s", summary)
        Metrics(self).tell([of_duration("validate", summary)])
        return summary


def _resolved(check: Check, context: Context) -> Check:
    return CustomCheck(resolved(check.function, context)) if isinstance(check, CustomCheck) else check


def _run(manifest: Manifest, tally: Tally) -> GoodRun:
    return GoodRun(
        as_of=manifest.as_of, parameters=manifest.count, rows=tally.rows, null_share=round(tally.null_share, 6)
    )


def _kinds(names: Sequence[str]) -> frozenset[Kind]:
    if isinstance(names, str):
        raise BadSetting("allow", names, f'a tuple of kinds, such as ("{names}",)')
    if not isinstance(names, list | tuple | set | frozenset):
        raise BadSetting("allow", names, 'a tuple of kinds, such as ("null",)')
    try:
        return frozenset(Kind(name) for name in names)
    except ValueError:
        raise BadSetting("allow", tuple(names), f"kinds of outcome: {', '.join(Kind)}") from None
