"""load: the valid results, in MongoDB."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote

from airflow.sdk import Asset, BaseOperator, Context, XComArg
from airflow.sdk.exceptions import AirflowException

from airflow_fanout.adapters.border import Reference, airflow_errors, checked_list
from airflow_fanout.adapters.bound import bind, resolved
from airflow_fanout.adapters.broken import broken
from airflow_fanout.adapters.lineage import HasLineage, Lineage, journal, mongo_collection, report_of
from airflow_fanout.adapters.mapped import check_mapped_mode, claim_target, is_in_mapped_group
from airflow_fanout.adapters.metrics import Metrics, of_load
from airflow_fanout.adapters.mongo import mongo_login
from airflow_fanout.adapters.noting import noted
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.adapters.templates import TextTemplates
from airflow_fanout.errors import BadSetting, FanoutError
from airflow_fanout.model.settings import check_at_least
from airflow_fanout.operators.parsed import (
    check_key,
    check_list,
    check_target,
    check_text,
    check_written_key,
    names_of,
)
from airflow_fanout.preflight.signatures import check_document
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.validated import read_validated
from airflow_fanout.validation.errors import NotValidated

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_fanout.model.outcome import Record
    from airflow_fanout.mongo.documents import DocumentOf
    from airflow_fanout.mongo.write import Work, Written
    from airflow_fanout.staging.results import Results

COUNTED_EACH = 1000

Mode = Literal["upsert", "replace_run", "swap"]


class MongoLoadOperator(TextTemplates, BaseOperator, HasLineage):
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
    :param mode: "upsert" leaves all other documents as they are; "replace_run" removes those of the same date that
        the run doesn't have; "swap" puts a collection of this run alone in the place of the old one.
    :param timeout_s: how long MongoDB may leave one step unanswered before load fails.

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
        mode: Mode = "upsert",
        timeout_s: float = 60.0,
        **kwargs: Any,
    ) -> None:
        check_text("mongo_conn_id", mongo_conn_id, "mongo_default")
        for field, name, example in (("database", database, "reports"), ("collection", collection, "daily_calls")):
            check_text(field, name, example, templated=True)
        self.asset = collection_asset(mongo_conn_id, database, collection)
        super().__init__(**{**kwargs, "outlets": [*(kwargs.get("outlets") or []), self.asset]})
        check_list("parameters", parameters)
        check_target(database, collection, self)
        if mode not in get_args(Mode):
            raise BadSetting("mode", mode, '"upsert", "replace_run" or "swap"')
        check_at_least("timeout_s", timeout_s, 0.001, "seconds")
        if document is not None:
            check_document(document)
        check_mapped_mode(mode, database, collection, is_mapped=is_in_mapped_group(self))
        self.parameters = parameters
        self.database = database
        self.collection = collection
        self.key = check_key(key, as_of_field)
        if document is None:
            check_written_key(self.key, names_of(parameters), as_of_field)
        if document is not None:
            bind(self, "document", document)
        self.document = document
        self.as_of_field = as_of_field
        self.mongo_conn_id = mongo_conn_id
        self.mode = mode
        self.timeout_s = timeout_s
        self._documents: int | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what is known of a mapped load, which is made when its task runs only, and have Airflow map it."""
        check_mapped_mode(kwargs.get("mode", ""), kwargs.get("database"), kwargs.get("collection"), is_mapped=True)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the results."""
        with noted(context), airflow_errors():
            begun = time.monotonic()
            self.document = resolved(self.document, context)
            directory, manifest = checked_list(self.parameters)
            self._claim(directory, context)
            results = _validated(directory, manifest)
            count, written = self._load(results, manifest, context)
            summary = self._summary(count, written, manifest, time.monotonic() - begun)
            context["outlet_events"][self.asset].extra = summary
            self.log.info("Loaded %s", summary)
            Metrics(self).tell(of_load(summary))
            self._documents = count
            return summary

    def lineage(self) -> Lineage:
        """Return the journal and the collection, with the number of documents once they are there."""
        target = mongo_collection(self.mongo_conn_id, self.database, self.collection)
        return Lineage(inputs=(journal(report_of(self.parameters)),), outputs=(target,), rows=self._documents)

    def _claim(self, directory: ListDirectory, context: Context) -> None:
        task, target = context["ti"], f"{self.mongo_conn_id}/{self.database}.{self.collection}"
        index = -1 if task.map_index is None else task.map_index
        claim_target(directory, task_id=task.task_id, map_index=index, mode=self.mode, target=target)

    def _load(self, results: Results, manifest: Manifest, context: Context) -> tuple[int, Written]:
        try:
            return self._written(results, manifest, context)
        except (FanoutError, AirflowException, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its words may hold a document
            failure = broken(error)
        # Outside of `except`, or it would be logged with the error that it stands for.
        raise failure

    def _written(self, results: Results, manifest: Manifest, context: Context) -> tuple[int, Written]:
        from airflow_fanout.mongo.documents import Shape, encoded, parameter_and_result
        from airflow_fanout.mongo.write import Login, Work, write

        shape = Shape(
            key=self.key,
            as_of=manifest.moment,
            as_of_field=self.as_of_field,
            document=self.document or parameter_and_result,
        )
        work = Work()
        with reported(work, context), mongo_login(self.mongo_conn_id) as login:
            work.begin("Making the documents", manifest.count)
            with encoded(counted(results.records(), work), shape) as made:
                written = write(
                    login.client.get_database(self.database).get_collection(self.collection),
                    made,
                    run=_name(context),
                    mode=self.mode,
                    timeout_s=self.timeout_s,
                    login=Login(conn_id=login.conn_id, auth_source=login.auth_source),
                    work=work,
                )
                work.begin("Loaded", made.count)
                work.add(made.count)
                return made.count, written

    def _summary(self, count: int, written: Written, manifest: Manifest, seconds: float) -> dict[str, Any]:
        return {
            "collection": f"{self.database}.{self.collection}",
            "mode": self.mode,
            "as_of": manifest.as_of,
            "day": manifest.day,
            "parameters": manifest.count,
            "documents": count,
            **written._asdict(),
            "seconds": round(seconds, 3),
            "rate_per_s": round(count / seconds, 1) if seconds else 0.0,
        }


def counted(records: Iterable[Record], work: Work) -> Iterator[Record]:
    """Yield records, and count them where the load says how far it is."""
    for number, record in enumerate(records, start=1):
        yield record
        if number % COUNTED_EACH == 0:
            work.add(COUNTED_EACH)


def collection_asset(mongo_conn_id: str, database: str, collection: str) -> Asset:
    """Return the asset of a collection, which other DAGs can be scheduled on.

    The connection's id stands for the host: the address isn't known when a DAG file is parsed.
    """
    # Signs that an address can't have; a template keeps its braces.
    place = [quote(str(part), safe="{} ") for part in (database, collection)]
    asset = Asset(name=f"{mongo_conn_id}/{'.'.join(place)}")
    # The address has its normal form already. Given to the constructor, it is normalised by the provider, for which
    # Airflow loads its whole database layer, whenever a DAG file is parsed.
    object.__setattr__(asset, "uri", f"mongodb://{mongo_conn_id}:27017/{'/'.join(place)}")
    return asset


def _name(context: Context) -> str:
    """Return what is the same for all tries of a load, and for no other load."""
    task = context["ti"]
    return f"{task.dag_id} {task.run_id} {task.task_id} {task.map_index}"


def _validated(directory: ListDirectory, manifest: Manifest) -> Results:
    from airflow_fanout.staging.results import Results

    judged = read_validated(directory, manifest.id)
    if judged is None or judged.generations != directory.generations(manifest.shards):
        raise NotValidated(str(directory.path))
    return Results(directory, manifest, judged)
