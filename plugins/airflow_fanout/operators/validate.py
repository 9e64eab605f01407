"""validate: nothing is loaded that the report's owner wouldn't want."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
from airflow_fanout.staging.validated import unmark_validated
from airflow_fanout.validation.checks.custom import CustomCheck
from airflow_fanout.validation.checks.listed import Check, to_checks
from airflow_fanout.validation.errors import ValidationFailed
from airflow_fanout.validation.verdict import Rules

if TYPE_CHECKING:
    # A DAG file that is parsed judges nothing.
    from airflow_fanout.validation.judge import Judge


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
        self._judge: Judge | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge the results."""
        from airflow_fanout.validation.judge import Demands, Judge

        with noted(context, self._counts), airflow_errors():
            self.checks = tuple(_resolved(check, context) for check in self.checks)
            unmark_validated(list_directory(self.parameters))
            directory, manifest = checked_list(self.parameters)
            demands = Demands(self.rules, self.checks, self.samples, shown=self.show_parameters)
            self._judge = judge = Judge(directory, manifest, demands, self.log.warning)
            with reported(judge.progress, context):
                judgement = judge.judge()
            Metrics(self).tell(of_verdict(judgement.tally, self.rules, judgement.findings))
            if not judgement.is_good:
                raise ValidationFailed(judgement.account(str(directory.path)))
            summary = judgement.summary()
            self.log.info("Validated %s", summary)
            Metrics(self).tell([of_duration("validate", summary)])
            return summary

    def lineage(self) -> Lineage:
        """Return the journal."""
        return Lineage(inputs=(journal(report_of(self.parameters)),))

    def _counts(self) -> Counts | None:
        if self._judge is None:
            return None
        tally = self._judge.tally
        refused = self.rules.refused(tally)
        return Counts(total=tally.total, causes={str(cause): count for cause, count in refused.items()})


def _resolved(check: Check, context: Context) -> Check:
    return CustomCheck(resolved(check.function, context)) if isinstance(check, CustomCheck) else check


def _kinds(names: Sequence[str]) -> frozenset[Kind]:
    if isinstance(names, str):
        raise BadSetting("allow", names, f'a tuple of kinds, such as ("{names}",)')
    if not isinstance(names, list | tuple | set | frozenset):
        raise BadSetting("allow", names, 'a tuple of kinds, such as ("null",)')
    try:
        return frozenset(Kind(name) for name in names)
    except ValueError:
        raise BadSetting("allow", tuple(names), f"kinds of outcome: {', '.join(Kind)}") from None
