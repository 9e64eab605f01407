"""Extract as a task: its source is read and frozen, and its log, metrics and state store say how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

from airflow_fanout.adapters.border import staging_mode
from airflow_fanout.adapters.bound import resolved, resolved_value
from airflow_fanout.adapters.budget import BudgetTurns, turns_of
from airflow_fanout.adapters.list_progress import ListProgress
from airflow_fanout.adapters.logging_in import login_of
from airflow_fanout.adapters.metrics import Metrics, of_list
from airflow_fanout.adapters.mongo import documents_of
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.readers import database_of, open_file
from airflow_fanout.adapters.reports import report_directory
from airflow_fanout.adapters.run_status import Airflow, is_alive
from airflow_fanout.api.login import ApiLogin
from airflow_fanout.model.as_of import of_context
from airflow_fanout.model.rendered import is_nothing, json_list, whole_number
from airflow_fanout.sources.errors import EmptyList
from airflow_fanout.sources.source import Database, Source
from airflow_fanout.staging.catch_up import begin_catch_ups
from airflow_fanout.staging.frozen import Duplicates, Selection, freeze
from airflow_fanout.staging.reference import refer, refer_to_shards

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context

    from airflow_fanout.mongo.reading import DocumentFinder


class ExtractTask:
    """One run of an extract, from its source to the references that the later tasks take."""

    def __init__(self, operator: BaseOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._begun = time.monotonic()
        self._as_of = as_of = of_context(context)
        # What a source gets of the run.
        self.values = cast("Context", {**context, "as_of": as_of.moment, "day": as_of.day})
        operator.log.info("This run is about %s, as of %s, by its %s", as_of.day, as_of.moment, as_of.source)

    def resolve(self, function: Callable[..., Any]) -> Any:
        """Return a function with what stands in its partials for later values replaced."""
        return resolved(function, self.values)

    def render(self, value: Any) -> Any:
        """Return a value with its templates rendered."""
        return self._operator.render_template(value, self.values)

    def login(self, conn_id: str) -> ApiLogin:
        """Return how to log in as an Airflow connection says; raise `BadConnection` if it can't be used."""
        return login_of(conn_id, note=self._operator.log.warning)

    def turns(self, conn_id: str) -> BudgetTurns | None:
        """Return what lets the requests of a list through; `None` if the API of a connection has no request budget."""
        return turns_of(conn_id, self._operator.dag_id, self._context, note=self._operator.log.warning)

    def documents(self, conn_id: str) -> AbstractContextManager[DocumentFinder]:
        """Return what finds documents in the MongoDB of an Airflow connection, until it is left."""
        return documents_of(conn_id)

    def database(self, conn_id: str) -> Database:
        """Return the database of an Airflow connection; raise `BadConnection` if it is none."""
        return database_of(conn_id)

    def file(self, path: str, conn_id: str | None) -> IO[bytes]:
        """Open a file, or an object of an object storage; raise `OSError` if it can't be opened."""
        return open_file(path, conn_id)

    def freeze(
        self,
        source: Source,
        watched: Callable[[Iterable[Any]], Iterable[Any]],
        *,
        selection: Selection,
        names: tuple[str, ...],
        duplicates: Duplicates,
        shards: int | None,
        allow_empty: bool,
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Freeze the list, and return the reference to it; with `shards`, one for each.

        :param watched: looks at the items as they are read.
        :raises EmptyList: for a list without parameters, unless it may be empty.
        """
        ti = self._context.get("ti")
        # A task that isn't mapped has the map index -1.
        index = getattr(ti, "map_index", None)
        run_id = self._context["dag_run"].run_id
        report = report_directory(self._operator, run_id, -1 if index is None else index, staging_mode())
        directory = report.new_list()
        is_whole = selection.limit is None and not selection.only
        alive = partial(is_alive, cast("Airflow", ti), self._operator.dag_id)
        catch_ups = begin_catch_ups(report, run_id, alive, self._operator.log.warning) if is_whole else ()
        store = TaskState(self._context, self._operator.log)
        with ListProgress(source.open(self, names=names), store=store, log=self._operator.log) as items:
            manifest = freeze(
                watched(items),
                directory,
                as_of=self._as_of,
                names=names,
                duplicates=duplicates,
                selection=selection,
                shards=shards or 1,
                catch_ups=catch_ups,
            )
        if not manifest.count and not allow_empty:
            raise EmptyList(source.describe())
        summary = refer(directory, manifest, items.ending(), time.monotonic() - self._begun)
        self._operator.log.info("Frozen %s", summary)
        Metrics(self._operator).tell(of_list(summary))
        store.put(summary)
        return summary if shards is None else refer_to_shards(summary, manifest)


def selection_of(operator: BaseOperator, context: Context, limit: int | str | None, only: Any) -> Selection:
    """Return what of the source is wanted.

    :param limit: as Airflow has rendered it; nothing for all.
    :param only: as the author has written it: its templates are rendered here, so that no rendered field shows it.
    """
    only = resolved_value(only, context)
    if isinstance(only, str):
        only = json_list("only", operator.render_template(only, context))
    return Selection(limit=None if is_nothing(limit) else whole_number("limit", limit), only=only)
