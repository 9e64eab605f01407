"""validate: nothing is loaded that the report's owner wouldn't want."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context, XComArg

from airflow_fanout.errors import BadSetting, ValidationFailed
from airflow_fanout.operators.border import Reference, airflow_errors, list_directory
from airflow_fanout.outcome import Kind
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.results import Results
from airflow_fanout.verdict import Rules, Tally, account


class ValidateOperator(BaseOperator):
    """Reconcile the journal with the frozen list, and fail the run, without retry, if results are missing.

    :param parameters: the output of the report's `ExtractOperator`.
    :param allow: kinds of outcome besides `ok` that are no reason to fail, such as `("null",)`.
    :param min_coverage: the least share of parameters, from 0 to 1, whose outcome must be `ok` or allowed.
    :param samples: how many failed parameters of each cause the message shows, masked.
    :param show_parameters: whether the samples may be shown as they are, because they are no personal data.

    Returns the counts. The message of a failure has them, too, with the causes grouped.
    """

    template_fields: Sequence[str] = ("parameters",)
    ui_color = "#dff0d8"

    def __init__(
        self,
        *,
        parameters: Reference | XComArg,
        allow: Sequence[str] = (),
        min_coverage: float = 1.0,
        samples: int = 3,
        show_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.parameters = parameters
        self.rules = Rules(allow=_kinds(allow), min_coverage=min_coverage)
        self.samples = samples
        self.show_parameters = show_parameters

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow gives it
        """Judge the results."""
        with airflow_errors():
            begun = time.monotonic()
            directory = list_directory(self.parameters)
            directory.unmark_validated()
            manifest = read_manifest(directory)
            results = Results(directory, manifest)
            tally = Tally(total=manifest.count, samples=self.samples, shown=self.show_parameters)
            for record in results.records():
                tally.add(record)
            tally.add_not_tried(results.missing())
            if not self.rules.accept(tally):
                raise ValidationFailed(account(tally, self.rules, str(directory.path)))
            directory.mark_validated(results.generations)
            seconds = time.monotonic() - begun
            summary = {
                **tally.summary(),
                "seconds": round(seconds, 3),
                "rate_per_s": round(manifest.count / seconds, 1),
            }
            self.log.info("Validated %s", summary)
            return summary


def _kinds(names: Sequence[str]) -> frozenset[Kind]:
    if isinstance(names, str):
        raise BadSetting("allow", names, f'a tuple of kinds, such as ("{names}",)')
    try:
        return frozenset(Kind(name) for name in names)
    except ValueError:
        raise BadSetting("allow", tuple(names), f"kinds of outcome: {', '.join(Kind)}") from None
