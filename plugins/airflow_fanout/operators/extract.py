"""extract: the report's parameters, frozen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context, XComArg

from airflow_fanout.adapters.bound import bind
from airflow_fanout.adapters.operator import FanoutOperator
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.parameter import check_names
from airflow_fanout.model.rendered import is_nothing
from airflow_fanout.model.settings import check_flag, check_whole
from airflow_fanout.operators.parsed import check_source
from airflow_fanout.preflight.arguments import check_only, check_rendered
from airflow_fanout.sources.source import ListSource, to_source

if TYPE_CHECKING:
    # A DAG file that is parsed reads no list.
    from airflow_fanout.adapters.lineage import Lineage
    from airflow_fanout.staging.frozen import Duplicates


class ExtractOperator(FanoutOperator):
    """Run the report's source and freeze its parameters, in order and without duplicates, for the tasks after it.

    :param source: a callable that returns a list or is a generator (it gets the values of Airflow's context that
        its arguments name, and the run's `as_of` and `day`); an `HttpList`, `SqlList`, `MongoList`, `FileList` or
        `AssetEvents`; or another task's output. A `functools.partial` may hold an XCom or the argument of a mapped
        task group.
    :param names: names for a value, or for a tuple's values; of an object, only these fields are kept.
    :param duplicates: "drop" keeps the first of equal parameters and counts the others; "refuse" fails.
    :param allow_empty: whether a list without parameters is right.
    :param limit: the number of parameters to keep, from the first on; or a template that gives one (or nothing).
    :param only: only these parameters, written as the source gives them; a list, or a template that gives a JSON
        list, such as `{{ params.only | tojson }}`. It is kept out of the rendered templates, which the UI shows.
    :param shards: the number of ranges to cut the list into, so that fetch can be mapped over them:
        `GeventFetchOperator.partial(…).expand(shard=extract.output)`.
    :param preflight: whether the whole report is checked before the first request: connections, rights, names, the
        collection, templates, functions. `[fanout] preflight = False` switches that off for all reports.

    Returns the reference that the later tasks take as `parameters`, with the counts; with `shards`, a list of such
    references. Fails without retry for a bad parameter, with retry if the source can't be read.
    """

    template_fields: Sequence[str] = ("limit",)
    # A query may be in a file beside the DAG file.
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#d7e9f7"

    def __init__(
        self,
        *,
        source: Callable[..., Iterable[Any]] | ListSource | XComArg,
        names: Sequence[str] = (),
        duplicates: Duplicates = "drop",
        allow_empty: bool = False,
        limit: int | str | None = None,
        only: Sequence[Any] | str = (),
        shards: int | None = None,
        preflight: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        known = to_source(source)
        if not self.do_xcom_push:
            raise BadSetting("do_xcom_push", self.do_xcom_push, "True: the other tasks need what extract returns")
        if duplicates not in ("drop", "refuse"):
            raise BadSetting("duplicates", duplicates, '"drop" or "refuse"')
        if shards is not None:
            check_whole("shards", shards)
        bind(self, "source", known.function)
        check_source(known, self)
        XComArg.apply_upstream_relationship(self, [*known.templates, only])
        self.source = source
        self.names = check_names(names)
        self.duplicates = duplicates
        check_flag("allow_empty", allow_empty)
        self.allow_empty = allow_empty
        if not is_nothing(limit):
            check_rendered("limit", limit)
        self.limit = limit
        self.only = check_only(only)
        self.shards = shards
        check_flag("preflight", preflight)
        self.preflight = preflight

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Freeze the list."""
        from airflow_fanout.adapters.border import airflow_errors
        from airflow_fanout.adapters.extract_task import ExtractTask, selection_of
        from airflow_fanout.adapters.noting import noted
        from airflow_fanout.operators.preflight import checked_report

        with noted(context), airflow_errors():
            task = ExtractTask(self, context)
            return task.freeze(
                to_source(self.source),
                checked_report(self, context, task),
                selection=selection_of(self, context, self.limit, self.only),
                names=self.names,
                duplicates=self.duplicates,
                shards=self.shards,
                allow_empty=self.allow_empty,
            )

    def lineage(self) -> Lineage:
        """Return what the source reads, if it has a name, and the frozen list."""
        from airflow_fanout.adapters.lineage import Lineage, frozen_list
        from airflow_fanout.adapters.reports import report_directory
        from airflow_fanout.adapters.source_lineage import data_sets

        report = report_directory(self, run_id="any")
        return Lineage(inputs=data_sets(to_source(self.source).dataset()), outputs=(frozen_list(report),))
