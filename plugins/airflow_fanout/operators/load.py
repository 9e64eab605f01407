"""load: the valid results, in MongoDB."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator, Context, XComArg
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_fanout.errors import BadConnection, BadSetting, NotValidated
from airflow_fanout.operators.border import Reference, airflow_errors, list_directory
from airflow_fanout.parameter import check_names
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest, read_manifest
from airflow_fanout.staging.results import Results

if TYPE_CHECKING:
    # Imported in `execute`: a DAG file that names this operator shall not load MongoDB's driver.
    from airflow.providers.mongo.hooks.mongo import MongoHook

    from airflow_fanout.documents import DocumentOf
    from airflow_fanout.mongo import Written


class MongoLoadOperator(BaseOperator):
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
    :param as_of_field: the field for the run's one date, which is part of the unique key.
    :param mongo_conn_id: the Airflow connection of the MongoDB.

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
        as_of_field: str = "as_of",
        mongo_conn_id: str = "mongo_default",
        **kwargs: Any,
    ) -> None:
        self.asset = collection_asset(mongo_conn_id, database, collection)
        super().__init__(**{**kwargs, "outlets": [*(kwargs.get("outlets") or []), self.asset]})
        self.parameters = parameters
        self.database = database
        self.collection = collection
        self.key = check_names(key)
        if not self.key:
            raise BadSetting("key", key, 'the fields that tell documents apart, such as ("tel",)')
        self.document = document
        self.as_of_field = as_of_field
        self.mongo_conn_id = mongo_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the results."""
        with airflow_errors():
            begun = time.monotonic()
            directory = list_directory(self.parameters)
            manifest = read_manifest(directory)
            results = _validated(directory, manifest)
            count, written = self._load(results, manifest)
            summary = self._summary(count, written, manifest, time.monotonic() - begun)
            context["outlet_events"][self.asset].extra = summary
            self.log.info("Loaded %s", summary)
            return summary

    def _load(self, results: Results, manifest: Manifest) -> tuple[int, Written]:
        from airflow_fanout.documents import Shape, encode, parameter_and_result
        from airflow_fanout.mongo import upsert

        shape = Shape(
            key=self.key,
            as_of=manifest.moment,
            as_of_field=self.as_of_field,
            document=self.document or parameter_and_result,
        )
        with tempfile.TemporaryFile(prefix="fanout-") as spool:
            count = encode(results.records(), shape, spool)
            with self._hook() as hook:
                collection = hook.get_collection(self.collection, mongo_db=self.database)
                return count, upsert(collection, spool, key=(self.as_of_field, *self.key), count=count)

    def _hook(self) -> MongoHook:
        from airflow.providers.mongo.hooks.mongo import MongoHook

        try:
            return MongoHook(mongo_conn_id=self.mongo_conn_id)
        except AirflowNotFoundException as error:
            raise BadConnection(self.mongo_conn_id, "isn't there") from error

    def _summary(self, count: int, written: Written, manifest: Manifest, seconds: float) -> dict[str, Any]:
        return {
            "collection": f"{self.database}.{self.collection}",
            "as_of": manifest.as_of,
            "parameters": manifest.count,
            "documents": count,
            **written._asdict(),
            "seconds": round(seconds, 3),
            "rate_per_s": round(count / seconds, 1) if seconds else 0.0,
        }


def collection_asset(mongo_conn_id: str, database: str, collection: str) -> Asset:
    """Return the asset of a collection, which other DAGs can be scheduled on.

    The connection's id stands for the host: the address isn't known when a DAG file is parsed.
    """
    return Asset(name=f"{database}.{collection}", uri=f"mongodb://{mongo_conn_id}:27017/{database}/{collection}")


def _validated(directory: ListDirectory, manifest: Manifest) -> Results:
    results = Results(directory, manifest)
    if directory.validated() != results.generations:
        raise NotValidated(str(directory.path))
    return results
