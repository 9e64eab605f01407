"""validate: nothing is loaded that the report's owner wouldn't want."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_fanout.adapters.bound import bind, resolved
from airflow_fanout.adapters.operator import FanoutOperator
from airflow_fanout.model.settings import check_flag, check_whole
from airflow_fanout.operators.parsed import check_list, check_partial
from airflow_fanout.validation.checks.check import Check
from airflow_fanout.validation.checks.listed import to_checks
from airflow_fanout.validation.rules import to_rules

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    # A DAG file that is parsed judges nothing.
    from airflow_fanout.adapters.lineage import Lineage
    from airflow_fanout.staging.reference import Reference


class ValidateOperator(FanoutOperator):
    """Reconcile the journal with the frozen list, and fail the run, without retry, if results are missing or wrong.

    :param parameters: the output of the report's `ExtractOperator`.
    :param allow: kinds of outcome besides `ok` that are no reason to fail, such as `("null",)`.
    :param min_coverage: the least share of parameters, from 0 to 1, whose outcome must be `ok` or allowed; by default
        all of them, and with `allow_partial` at least one.
    :param allow_partial: whether a run may pass although some outcomes are missing: load writes the others, and the
        report's next run first asks again for those that were left out, with this run's date.
    :param catch_up_days: for how many days these are asked for again.
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
        min_coverage: float | None = None,
        allow_partial: bool = False,
        catch_up_days: int = 7,
        checks: Sequence[Check] = (),
        samples: int = 3,
        show_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_list("parameters", parameters)
        check_flag("show_parameters", show_parameters)
        self.parameters = parameters
        self.rules = to_rules(allow, min_coverage, allow_partial=allow_partial)
        self.allow_partial = allow_partial
        check_whole("catch_up_days", catch_up_days, "days")
        self.catch_up_days = catch_up_days
        self.checks = to_checks(checks)
        for check in self.checks:
            # Only one kind of them has a function of the author's.
            bind(self, "CustomCheck", getattr(check, "function", None))
        check_whole("samples", samples, least=0)
        self.samples = samples
        self.show_parameters = show_parameters
        check_partial(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge the results."""
        from airflow_fanout.adapters.border import airflow_errors
        from airflow_fanout.adapters.noting import noted
        from airflow_fanout.adapters.validate_task import ValidateTask
        from airflow_fanout.validation.judge import Demands

        task = ValidateTask(self, context)
        with noted(context, task.counts), airflow_errors():
            self.checks = tuple(check.resolved(lambda function: resolved(function, context)) for check in self.checks)
            demands = Demands(self.rules, self.checks, self.samples, shown=self.show_parameters)
            return task.validate(self.parameters, demands, catch_up_days=self.catch_up_days)

    def lineage(self) -> Lineage:
        """Return the journal."""
        from airflow_fanout.adapters.lineage import Lineage, journal, report_of

        return Lineage(inputs=(journal(report_of(self.parameters)),))
