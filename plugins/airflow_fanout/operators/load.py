"""load: the valid results, in MongoDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from airflow_fanout.adapters.assets import collection_asset
from airflow_fanout.adapters.bound import bind
from airflow_fanout.adapters.operator import FanoutOperator
from airflow_fanout.model.settings import check_at_least
from airflow_fanout.mongo.modes import Mode, check_mapped_mode, check_mode
from airflow_fanout.operators.load_types import checked_types
from airflow_fanout.operators.parsed import check_kept, check_list, check_partial, check_target, names_of
from airflow_fanout.preflight.arguments import check_key, check_text, check_written
from airflow_fanout.preflight.signatures import check_signature

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    # A DAG file that is parsed loads nothing.
    from airflow_fanout.adapters.lineage import Lineage
    from airflow_fanout.mongo.shape import DocumentOf
    from airflow_fanout.mongo.types import Types
    from airflow_fanout.staging.reference import Reference


class MongoLoadOperator(FanoutOperator):
    """Write the results that validate has passed into a MongoDB collection, through `MongoHook`.

    Every document is made, checked and encoded before the first one is written. Writing is by key and date, so it
    may be repeated; MongoDB's counts must confirm it.

    :param parameters: the output of the report's `ExtractOperator`.
    :param database: the database.
    :param collection: the collection.
    :param key: the fields that tell one document of a run from another; taken from the document, else from the
        parameter.
    :param document: a function `document(parameter, result)` that returns a dict, several of them, or `None`;
        without it, a document has the parameter's fields and `result`.
    :param as_of_field: the field for the run's one date, which is part of the unique key; `None` for a key without
        the date, by which a run replaces the documents of earlier ones.
    :param types: what texts and numbers of the documents become, by their paths, such as
        `{"issued": "date", "lines.amount": "decimal"}`: "date", "decimal", "long", "double" or `Date(…)`.
    :param mongo_conn_id: the Airflow connection of the MongoDB.
    :param mode: "upsert" leaves all other documents as they are; "replace_run" removes those of the same date that
        the run doesn't have; "swap" puts a collection of this run alone in the place of the old one.
    :param timeout_s: how long MongoDB may leave one step unanswered before load fails.
    :param keep_days: 0 removes the run's parameters and results from the staging area once they are loaded; by default
        they stay until the cleaning.

    The task has an outlet, the asset `mongodb://<mongo_conn_id>/<database>/<collection>`, whose events carry the
    counts. Returns the counts.
    """

    template_fields: Sequence[str] = ("parameters", "database", "collection")
    ui_color = "#cdebd0"

    def __init__(
        self,
        *,
        parameters: Reference | XComArg,
        database: str,
        collection: str,
        key: Sequence[str],
        document: DocumentOf | None = None,
        as_of_field: str | None = "as_of",
        types: Types = {},  # noqa: B006 - it is read, and copied
        mongo_conn_id: str = "mongo_default",
        mode: Mode = "upsert",
        timeout_s: float = 60.0,
        keep_days: Literal[0] | None = None,
        **kwargs: Any,
    ) -> None:
        check_text("mongo_conn_id", mongo_conn_id, "mongo_default")
        for field, name, example in (("database", database, "reports"), ("collection", collection, "daily_calls")):
            check_text(field, name, example, templated=True)
        self.asset = collection_asset(mongo_conn_id, database, collection)
        super().__init__(**{**kwargs, "outlets": [*(kwargs.get("outlets") or []), self.asset]})
        check_list("parameters", parameters)
        check_target(database, collection, self)
        check_mode(mode, is_dated=as_of_field is not None)
        check_at_least("timeout_s", timeout_s, 0.001, "seconds")
        check_kept(keep_days)
        if self.get_closest_mapped_task_group() is not None:
            check_mapped_mode(mode, database, collection)
        self.parameters = parameters
        self.database, self.collection = database, collection
        self.key = check_key(key, as_of_field)
        if document is None:
            check_written("key", self.key, names_of(parameters), as_of_field)
        else:
            check_signature("document", document)
        bind(self, "document", document)
        self.document = document
        self.as_of_field = as_of_field
        self.types = checked_types(types, as_of_field, names_of(parameters) if document is None else None)
        self.mongo_conn_id = mongo_conn_id
        self.mode, self.timeout_s, self.keep_days = mode, timeout_s, keep_days
        self._documents: int | None = None
        check_partial(self)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what is known of a mapped load, which is made when its task runs only, and have Airflow map it."""
        check_mapped_mode(kwargs.get("mode"), kwargs.get("database"), kwargs.get("collection"))
        return super().partial(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the results."""
        from airflow_fanout.adapters.load_run import run_load

        summary = run_load(self, context)
        self._documents = summary["documents"]
        return summary

    def lineage(self) -> Lineage:
        """Return the journal and the collection, with the number of documents once they are there."""
        from airflow_fanout.adapters.lineage import Lineage, journal, mongo_collection, report_of

        target = mongo_collection(self.mongo_conn_id, self.database, self.collection)
        return Lineage(inputs=(journal(report_of(self.parameters)),), outputs=(target,), rows=self._documents)
