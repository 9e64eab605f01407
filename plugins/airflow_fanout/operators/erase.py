"""erase: the data of some parameters goes from everything that is staged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from airflow.sdk import BaseOperator, Context, Variable

from airflow_fanout.adapters.border import airflow_errors, staging_store
from airflow_fanout.adapters.errors import NotErased
from airflow_fanout.adapters.run_status import is_alive
from airflow_fanout.adapters.templates import TextTemplates
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf
from airflow_fanout.model.rendered import is_yes, json_list
from airflow_fanout.preflight.arguments import check_text
from airflow_fanout.staging.erasure import Erased, erase, wanted
from airflow_fanout.staging.leftovers import Leftovers

MISSING = (
    'a JSON list of the parameters to erase, as the source gives them, such as ["+12025550123"] or '
    '[{"tel": "+12025550123"}]'
)


class EraseOperator(TextTemplates, BaseOperator):
    """Remove the data of parameters from everything that is staged, of all DAGs: a person has asked for it.

    That is lists, journals with all tries, notes of jobs, and what partial runs have left out. A run can be continued
    without these parameters. MongoDB isn't touched, nor is the source.

    :param variable: the Airflow Variable that has the parameters, as a JSON list. It is deleted when nothing holds them
        any more. Airflow hides its value if its name has "secret" in it. A parameter that is an object stands for all
        that have its fields, with the same values.
    :param dry_run: whether to say only what would be erased; a template, such as `{{ params.dry_run }}`.

    From a run that is queued or running nothing is erased: the task does all the rest, and fails, so that Airflow tries
    it again. A task that was interrupted goes on when it is tried again. Neither the log nor what it returns has a
    parameter.

    Returns how many lists held them, how many parameters were erased of lists and of what was left out, how many files
    of results were changed, and of how many runs nothing was erased.
    """

    template_fields: Sequence[str] = ("is_dry_run",)
    ui_color = "#e8e4d8"

    def __init__(self, *, variable: str = "fanout_erase_secret", dry_run: bool | str = False, **kwargs: Any) -> None:
        check_text("variable", variable, "fanout_erase_secret")
        super().__init__(**kwargs)
        self.variable = variable
        # Every operator of Airflow has a method named `dry_run`.
        self.is_dry_run = dry_run

    def execute(self, context: Context) -> dict[str, Any]:
        """Erase what the Variable names."""
        with airflow_errors():
            dry_run = is_yes("dry_run", self.is_dry_run)
            is_wanted, store, ti = wanted(self._parameters()), staging_store(), context["ti"]
            left = Leftovers()
            if not dry_run:
                store.finish_removals(left)

            erased = erase(store, is_wanted, partial(is_alive, ti), dry_run=dry_run)
            erased.failures += [str(entry) for entry in left if entry.is_failure]
            return self._finished(erased, dry_run=dry_run)

    def _parameters(self) -> list[Any]:
        field = f"the Airflow Variable {self.variable!r}"
        text = Variable.get(self.variable, default=None)
        if text is None:
            raise BadSetting(field, KindOf(text="not there"), MISSING)
        parameters = json_list(field, str(text))
        if not parameters:
            raise BadSetting(field, KindOf(text="empty"), MISSING)
        for place, parameter in enumerate(parameters):
            if parameter is None or isinstance(parameter, bool) or parameter in ("", [], {}):
                raise BadSetting(f"{field}, item {place}", KindOf(parameter), "a parameter as the source gives it")
        return parameters

    def _finished(self, erased: Erased, *, dry_run: bool) -> dict[str, Any]:
        summary = {
            "lists": erased.lists,
            "parameters": erased.parameters,
            "files": erased.files,
            "runs_left": len(erased.alive),
        }
        self.log.info("%s %s", "Would erase" if dry_run else "Erased", summary)
        if not erased.parameters:
            self.log.warning(
                'Nothing that is staged holds such a parameter. Compare the Variable with the source: 7 and "7" differ.'
            )
        if erased.alive or erased.failures:
            raise NotErased(tuple(erased.alive), tuple(erased.failures))
        if not dry_run:
            Variable.delete(self.variable)
            self.log.info("The Airflow Variable %r is deleted", self.variable)
        return summary
