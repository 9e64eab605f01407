"""Load as a task: through Airflow's `MongoHook`, and its log, metrics and state store say how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.sdk.exceptions import AirflowException

from airflow_fanout.adapters.border import checked_list, list_directory
from airflow_fanout.adapters.broken import broken
from airflow_fanout.adapters.metrics import Metrics, of_load
from airflow_fanout.adapters.mongo import mongo_login
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.errors import BadDocument, DocumentRefused, KeysMeet, PartialNotUpsert
from airflow_fanout.mongo.modes import EXCLUSIVE, Mode
from airflow_fanout.staging.catch_up import CatchUpList, catch_up_lists
from airflow_fanout.staging.claims import claim_target
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest, verify_list
from airflow_fanout.staging.left_out import LeftOuts
from airflow_fanout.staging.loaded import Loaded, keep_only, read_loaded
from airflow_fanout.staging.reference import Reference
from airflow_fanout.staging.results import Results
from airflow_fanout.staging.validated import Validated, read_validated
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


class LoadTask:
    """One run of a load, from the reference to its list to the summary."""

    def __init__(self, operator: BaseOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._begun = time.monotonic()

    def load(
        self,
        reference: Reference | XComArg,
        to: Destination,
        documents: Documents,
        *,
        timeout_s: float,
        keep_days: int | None = None,
    ) -> dict[str, Any]:
        """Write what validate has passed, and return the summary.

        :param keep_days: 0 removes what is staged after that.
        :raises StagingRemoved: when an earlier load has removed it, and the run was cleared since.
        :raises SharedTarget: when another instance of a mapped load has the collection.
        :raises NotValidated: when validate hasn't passed the results.
        """
        if (loaded := self._loaded_before(list_directory(reference))) is not None:
            return loaded
        directory, manifest = checked_list(reference)
        task, target = self._context["ti"], f"{to.mongo_conn_id}/{to.database}.{to.collection}"
        # A task that isn't mapped has the map index -1.
        index = -1 if task.map_index is None else task.map_index
        if index >= 0 and to.mode in EXCLUSIVE:
            claim_target(directory, task_id=task.task_id, map_index=index, mode=to.mode, target=target)
        judged, results = passed_results(directory, manifest)
        if to.mode != "upsert" and judged.left_out:
            raise PartialNotUpsert(to.mode)
        catch_ups = [self._catch_up(listed, to, documents, timeout_s) for listed in catch_up_lists(directory, manifest)]
        count, written = _without_documents(partial(self._written, results, manifest, to, documents, timeout_s))
        self._hand_on(directory, judged)
        seconds = time.monotonic() - self._begun
        summary = {
            "collection": f"{to.database}.{to.collection}",
            "mode": to.mode,
            "as_of": manifest.as_of,
            "day": manifest.day,
            "parameters": manifest.remaining,
            "documents": count,
            **written._asdict(),
            "partial": judged.left_out > 0,
            "left_out": judged.left_out,
            "catch_up": [each for each in catch_ups if each is not None],
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
        if keep_days == 0:
            keep_only(directory, Loaded(clearing=self._clearing(), summary=summary))
        return summary

    def _loaded_before(self, directory: ListDirectory) -> dict[str, Any] | None:
        """Return the summary of this task's earlier try, if it had loaded all and Airflow didn't hear of it.

        What that was still removing is removed. A load that somebody has cleared is no such try: it writes nothing.
        """
        loaded = read_loaded(directory)
        if loaded is None:
            return None
        keep_only(directory, loaded)
        if loaded.clearing != self._clearing():
            return None
        self._operator.log.info("An earlier try has loaded everything, and removed the staged data (keep_days=0)")
        return dict(loaded.summary)

    def _clearing(self) -> int:
        """Return how often the run was cleared: Airflow's retry of a task is no clearing."""
        return getattr(self._context["dag_run"], "clear_number", None) or 0

    def _catch_up(
        self, listed: CatchUpList, to: Destination, documents: Documents, timeout_s: float
    ) -> dict[str, Any] | None:
        """Write what was asked for again of an earlier run, with that run's date, and return the counts.

        Whatever is wrong with these documents, those of this run are written: the others are kept for the next one.
        """
        log, count = self._operator.log, 0
        # In another mode, all other documents would be removed for these few.
        judged = read_validated(listed.directory, listed.manifest.id) if to.mode == "upsert" else None
        if judged is not None:
            verify_list(listed.directory, listed.manifest)
            results = Results(listed.directory, listed.manifest, judged)
            try:
                count, _ = _without_documents(
                    partial(self._written, results, listed.manifest, to, documents, timeout_s, listed.catch_up.run_id)
                )
            except (BadDocument, KeysMeet, DocumentRefused) as error:
                log.warning("%s are left for the next run: %s", listed, error)
                judged = None
        given_up = listed.settle(self._context["ti"].run_id, judged)
        if given_up:
            log.warning("%s: %s of them are given up, because their time is over.", listed, f"{given_up:,}")
        left_out = listed.manifest.remaining if judged is None else judged.left_out
        return {
            "day": listed.manifest.day,
            "parameters": listed.manifest.remaining,
            "documents": count,
            "left_out": left_out,
            "given_up": given_up,
        }

    def _hand_on(self, directory: ListDirectory, judged: Validated) -> None:
        """Keep what this run leaves out for the report's next run, or forget what an earlier try of it has left out."""
        own = LeftOuts.of(directory).of_run(self._context["ti"].run_id)
        if judged.left_out:
            own.publish(directory.left_out)
        else:
            own.remove()

    def _written(
        self,
        results: Results,
        manifest: Manifest,
        to: Destination,
        documents: Documents,
        timeout_s: float,
        part: str = "",
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
            work.begin("Making the documents", manifest.remaining)
            return load(
                results.records(),
                shape,
                login.client.get_database(to.database).get_collection(to.collection),
                # The same for all tries of a load, and for no other load.
                run=f"{task.dag_id} {task.run_id} {task.task_id} {task.map_index} {part}".rstrip(),
                mode=to.mode,
                timeout_s=timeout_s,
                login=Login(conn_id=login.conn_id, auth_source=login.auth_source),
                work=work,
            )


def _without_documents(load: Callable[[], tuple[int, Written]]) -> tuple[int, Written]:
    """Return what a load returns; whatever foreign error it raises is replaced by one that shows no document."""
    try:
        return load()
    except (FanoutError, AirflowException, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, its words may hold a document
        failure = broken(error)
    # Outside of `except`, or it would be logged with the error that it stands for.
    raise failure
