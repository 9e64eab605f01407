"""Load as a task: through Airflow's `MongoHook`, and its log, metrics and state store say how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.exceptions import AirflowException

from airflow_fanout.adapters.border import airflow_errors, checked_list
from airflow_fanout.adapters.broken import broken
from airflow_fanout.adapters.metrics import Metrics, of_load
from airflow_fanout.adapters.mongo import mongo_login
from airflow_fanout.adapters.noting import noted
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.modes import EXCLUSIVE, Mode
from airflow_fanout.staging.claims import claim_target
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.reference import Reference
from airflow_fanout.staging.results import Results
from airflow_fanout.validation.passed import passed_results

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context, XComArg

    from airflow_fanout.mongo.shape import DocumentOf
    from airflow_fanout.mongo.types import Date, TypeName
    from airflow_fanout.mongo.written import Written


class Destination(NamedTuple):
    """Where the documents go."""

    mongo_conn_id: str
    database: str
    collection: str
    mode: Mode


class Documents(NamedTuple):
    """What the documents are, and what tells them apart."""

    key: tuple[str, ...]
    as_of_field: str | None
    document: DocumentOf | None
    types: Mapping[tuple[str, ...], TypeName | Date]


@contextmanager
def load_task(operator: BaseOperator, context: Context) -> Iterator[LoadTask]:
    """Give the task that runs a load; its failure is noted, and is Airflow's."""
    with noted(context), airflow_errors():
        yield LoadTask(operator, context)


class LoadTask:
    """One run of a load, from the reference to its list to the summary."""

    def __init__(self, operator: BaseOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._begun = time.monotonic()

    def load(
        self, reference: Reference | XComArg, to: Destination, documents: Documents, *, timeout_s: float
    ) -> dict[str, Any]:
        """Write what validate has passed, and return the summary.

        :raises SharedTarget: when another instance of a mapped load has the collection.
        :raises NotValidated: when validate hasn't passed the results.
        """
        directory, manifest = checked_list(reference)
        task, target = self._context["ti"], f"{to.mongo_conn_id}/{to.database}.{to.collection}"
        # A task that isn't mapped has the map index -1.
        index = -1 if task.map_index is None else task.map_index
        if index >= 0 and to.mode in EXCLUSIVE:
            claim_target(directory, task_id=task.task_id, map_index=index, mode=to.mode, target=target)
        results = passed_results(directory, manifest)
        count, written = self._load(results, manifest, to, documents, timeout_s)
        seconds = time.monotonic() - self._begun
        summary = {
            "collection": f"{to.database}.{to.collection}",
            "mode": to.mode,
            "as_of": manifest.as_of,
            "day": manifest.day,
            "parameters": manifest.count,
            "documents": count,
            **written._asdict(),
            "seconds": round(seconds, 3),
            "rate_per_s": round(count / seconds, 1) if seconds else 0.0,
        }
        self._operator.log.info("Loaded %s", summary)
        if written.kept:
            self._operator.log.warning(
                "%s documents were left as they are, because a run of a later date than %s has written them.",
                f"{written.kept:,}",
                manifest.as_of,
            )
        Metrics(self._operator).tell(of_load(summary))
        return summary

    def _load(
        self, results: Results, manifest: Manifest, to: Destination, documents: Documents, timeout_s: float
    ) -> tuple[int, Written]:
        try:
            return self._written(results, manifest, to, documents, timeout_s)
        except (FanoutError, AirflowException, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its words may hold a document
            failure = broken(error)
        # Outside of `except`, or it would be logged with the error that it stands for.
        raise failure

    def _written(
        self, results: Results, manifest: Manifest, to: Destination, documents: Documents, timeout_s: float
    ) -> tuple[int, Written]:
        # MongoDB's driver.
        from airflow_fanout.mongo.load import load
        from airflow_fanout.mongo.shape import Shape, parameter_and_result
        from airflow_fanout.mongo.write import LoadWork, Login

        shape = Shape(
            key=documents.key,
            as_of=manifest.moment,
            as_of_field=documents.as_of_field,
            document=documents.document or parameter_and_result,
            types=documents.types,
        )
        task, work = self._context["ti"], LoadWork()
        store = TaskState(self._context, self._operator.log)
        with reported(work, store), mongo_login(to.mongo_conn_id) as login:
            work.begin("Making the documents", manifest.count)
            return load(
                results.records(),
                shape,
                login.client.get_database(to.database).get_collection(to.collection),
                # The same for all tries of a load, and for no other load.
                run=f"{task.dag_id} {task.run_id} {task.task_id} {task.map_index}",
                mode=to.mode,
                timeout_s=timeout_s,
                login=Login(conn_id=login.conn_id, auth_source=login.auth_source),
                work=work,
            )
