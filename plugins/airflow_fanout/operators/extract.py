"""extract: the report's parameters, frozen."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator, Context, XComArg

from airflow_fanout import codec
from airflow_fanout.adapters.border import airflow_errors, staging_area, staging_mode, whole_number
from airflow_fanout.adapters.bound import bind, resolved, resolved_value
from airflow_fanout.adapters.connection import usable_endpoint_of
from airflow_fanout.adapters.lineage import HasLineage, Lineage, api_resource, frozen_list
from airflow_fanout.adapters.list_progress import ListProgress, store_progress
from airflow_fanout.adapters.metrics import Metrics, of_list
from airflow_fanout.adapters.noting import noted
from airflow_fanout.adapters.templates import TextTemplates
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.shipping import describe
from airflow_fanout.model.as_of import of_context
from airflow_fanout.model.parameter import check_names
from airflow_fanout.model.settings import check_flag, check_whole
from airflow_fanout.operators.parsed import check_limit, check_only
from airflow_fanout.preflight.signatures import is_async
from airflow_fanout.sources.errors import EmptyList
from airflow_fanout.staging.directory import ListDirectory, ReportDirectory
from airflow_fanout.staging.frozen import Duplicates, Manifest, Selection, freeze

if TYPE_CHECKING:
    from airflow.sdk import TaskGroup

    from airflow_fanout.sources.http_list import HttpList


class ExtractOperator(TextTemplates, BaseOperator, HasLineage):
    """Run the report's source and freeze its parameters, in order and without duplicates, for the tasks after it.

    :param source: a callable that returns a list or is a generator (it gets the values of Airflow's context that
        its arguments name, and the run's `as_of` and `day`), or an `HttpList`. A `functools.partial` may hold an XCom
        or the argument of a mapped task group.
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
    ui_color = "#d7e9f7"

    def __init__(
        self,
        *,
        source: Callable[..., Iterable[Any]] | HttpList,
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
        if callable(source) and is_async(source):
            raise BadSetting("source", source, "a plain function or generator (`def`): nothing awaits an async one")
        if not self.do_xcom_push:
            raise BadSetting("do_xcom_push", self.do_xcom_push, "True: the other tasks need what extract returns")
        if duplicates not in ("drop", "refuse"):
            raise BadSetting("duplicates", duplicates, '"drop" or "refuse"')
        if shards is not None:
            check_whole("shards", shards)
        if callable(source):
            bind(self, "source", source)
        else:
            listed = _http_list(source)
            XComArg.apply_upstream_relationship(self, [listed.endpoint, dict(listed.query)])
        XComArg.apply_upstream_relationship(self, only)
        self.source = source
        self.names = check_names(names)
        self.duplicates = duplicates
        check_flag("allow_empty", allow_empty)
        self.allow_empty = allow_empty
        self.limit = check_limit(limit)
        self.only = check_only(only)
        self.shards = shards
        check_flag("preflight", preflight)
        self.preflight = preflight

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """Freeze the list."""
        with noted(context), airflow_errors():
            begun = time.monotonic()
            about = of_context(context)
            self.log.info("This run is about %s, as of %s, by its %s", about.day, about.moment, about.source)
            # Of the other operators and the driver, only the task that runs needs anything.
            from airflow_fanout.operators.preflight import checked_report

            watched = checked_report(self, context)
            directory = self._new_list(context)
            with self._read(cast("Context", {**context, "as_of": about.moment, "day": about.day})) as items:
                manifest = freeze(
                    watched(items),
                    directory,
                    as_of=about,
                    names=self.names,
                    duplicates=self.duplicates,
                    selection=self._selection(context),
                    shards=self.shards or 1,
                )
            summary = self._summary(directory, manifest, items, time.monotonic() - begun)
            store_progress(context, self.log, summary)
            return self._references(summary, manifest)

    def lineage(self) -> Lineage:
        """Return the API's list, if it is one, and the frozen list."""
        source = self.source
        listed = () if callable(source) else (api_resource(source.http_conn_id, source.endpoint),)
        return Lineage(inputs=listed, outputs=(frozen_list(self._report("any").path),))

    def _new_list(self, context: Context) -> ListDirectory:
        # A task that isn't mapped has the map index -1.
        index = getattr(context.get("ti"), "map_index", None)
        return self._report(context["dag_run"].run_id, -1 if index is None else index).new_list(staging_mode())

    def _report(self, run_id: str, map_index: int = -1) -> ReportDirectory:
        name = report_name(self.task_id, self.task_group, map_index)
        return ReportDirectory.of(staging_area(), dag_id=self.dag_id, run_id=run_id, report=name)

    def _read(self, context: Context) -> ListProgress:
        def store(progress: dict[str, Any]) -> None:
            store_progress(context, self.log, progress)

        if callable(self.source):
            found = _called(resolved(self.source, context), context)
            return ListProgress(found, reading=None, store=store, log=self.log)
        source = self.source.rendered(lambda value: self.render_template(value, context))
        reading = source.read(usable_endpoint_of(source.http_conn_id), names=self.names)
        return ListProgress(reading, reading=reading, store=store, log=self.log)

    def _selection(self, context: Context) -> Selection:
        only = resolved_value(self.only, context)
        if isinstance(only, str):
            only = _json_list("only", self.render_template(only, context))
        return Selection(limit=_limit(self.limit), only=only)

    def _summary(
        self, directory: ListDirectory, manifest: Manifest, progress: ListProgress, seconds: float
    ) -> dict[str, Any]:
        if not manifest.count and not self.allow_empty:
            raise EmptyList(self._source_name())
        summary = {
            "directory": str(directory.path),
            "list": manifest.id,
            "parameters": manifest.count,
            "duplicates": manifest.duplicates,
            **progress.ending(),
            "as_of": manifest.as_of,
            "as_of_from": manifest.as_of_from,
            "day": manifest.day,
            "seconds": round(seconds, 3),
            "rate_per_s": round(manifest.count / seconds, 1) if seconds else 0.0,
        }
        self.log.info("Frozen %s", summary)
        Metrics(self).tell(of_list(summary))
        return summary

    def _references(self, summary: dict[str, Any], manifest: Manifest) -> dict[str, Any] | list[dict[str, Any]]:
        if self.shards is None:
            return summary
        ranges = [(shard, manifest.range_of(shard)) for shard in range(manifest.shards)]
        return [{**summary, "shard": shard, "start": span.start, "stop": span.stop} for shard, span in ranges]

    def _source_name(self) -> str:
        return f"The source {describe(self.source)}" if callable(self.source) else str(self.source)


def _http_list(source: object) -> HttpList:
    # A DAG file that doesn't name one hasn't loaded it.
    from airflow_fanout.sources.http_list import HttpList

    if not isinstance(source, HttpList):
        raise BadSetting("source", source, "a callable that gives the parameters, or an HttpList")
    return source


def report_name(task_id: str, group: TaskGroup | None, map_index: int) -> str:
    """Return what an extract's report is called: a name that no other report of the DAG has.

    That is the id of its `FanoutTaskGroup`, else its own task id; for one of several mapped reports with its map
    index, behind a sign that no id has.
    """
    own = getattr(group, "extract", None)
    name = group.group_id if group is not None and own is not None and own.task_id == task_id else None
    return f"{name or task_id}@{map_index}" if map_index >= 0 else name or task_id


def _called(source: Callable[..., Iterable[Any]], context: Context) -> Iterable[Any]:
    arguments = inspect.signature(source).parameters.values()
    if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
        found = source(**context)
    else:
        named = {argument.name for argument in arguments}
        found = source(**{name: value for name, value in context.items() if name in named})
    if isinstance(found, str | bytes | dict) or not isinstance(found, Iterable):
        raise BadSetting(
            f"what {describe(source)} returned", type(found).__name__, "a list, or the values of a generator"
        )
    return found


def _limit(value: object) -> int | None:
    return None if value is None or str(value).strip() in ("", "None") else whole_number("limit", value)


def _json_list(field: str, text: str) -> list[Any]:
    try:
        found = codec.decode(text) if text.strip() else []
    except codec.NotJson as error:
        raise BadSetting(field, "a text that isn't JSON", f"a JSON list ({error})") from error
    if found is None:
        return []
    if not isinstance(found, list):
        raise BadSetting(field, type(found).__name__, "a JSON list")
    return found
