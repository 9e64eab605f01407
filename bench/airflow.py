"""The same parameters in one real Airflow, by three DAGs: how long the fetch takes, and how long the whole run."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from pymongo import MongoClient

from bench.aims import AIRFLOW_FETCH, AIRFLOW_RUN, IN_AIRFLOW
from bench.cases import LATENCY_MS
from bench.dags import CONNECTION, COUNT
from bench.machine import Cores
from bench.row import rows_of
from bench.sample import Sample
from bench.servers.lean import compiled, lean_server
from harness.airflow import Airflow, AirflowClient, AirflowHome
from harness.airflow.connections import mongo_connection
from harness.mongod import Mongod

ROOT = Path(__file__).resolve().parent.parent
DAGS = ROOT / "bench" / "dags"
PATIENCE_S = 1800.0


class Way(NamedTuple):
    """A DAG that asks for the ids, and the collection that the answers end up in."""

    client: str
    dag_id: str
    collection: str
    rounds: int


FANOUT, MAPPED, THREADS = (
    Way(IN_AIRFLOW[0], "bench_fanout", "fanout", 3),
    # Minutes each time: one round.
    Way(IN_AIRFLOW[1], "bench_mapped", "mapped", 1),
    Way(IN_AIRFLOW[2], "bench_threads", "threads", 3),
)


class RunFailed(RuntimeError):
    """A DAG's run failed, or its answers aren't all in MongoDB; ``states`` are those of its tasks."""

    def __init__(self, dag_id: str, documents: int, states: dict[str, str | None]) -> None:
        super().__init__(dag_id, documents, states)
        self.dag_id = dag_id
        self.documents = documents
        self.states = states

    def __str__(self) -> str:
        bad = {name: state for name, state in self.states.items() if state != "success"}
        return f"{self.dag_id}: {self.documents} of {COUNT} answers are in MongoDB; tasks without success: {bad}"


def measure(ways: Sequence[Way] = (FANOUT, THREADS, MAPPED)) -> list[dict[str, Any]]:
    """Run each way as often as it says, in turn, and return its rows."""
    samples: dict[tuple[str, str], list[Sample]] = {}
    with _airflow() as (client, mongo_uri):
        for number in range(max(way.rounds for way in ways)):
            for way in (way for way in ways if number < way.rounds):
                fetch_s, run_s = _timed(client, mongo_uri, way)
                for case, seconds in ((AIRFLOW_FETCH, fetch_s), (AIRFLOW_RUN, run_s)):
                    samples.setdefault((case, way.client), []).append(Sample(requests=COUNT, seconds=seconds))
                print(f"{number + 1}  airflow {way.client:20} fetch {fetch_s:.1f} s, run {run_s:.1f} s", flush=True)
    return [asdict(row) for (case, client), found in samples.items() for row in rows_of(case, client, found)]


@contextmanager
def _airflow() -> Iterator[tuple[AirflowClient, str]]:
    usable = os.sched_getaffinity(0)
    with ExitStack() as running:
        place = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        core = Cores.of(usable).server
        service = running.enter_context(lean_server(compiled(place), core=core, latency_ms=LATENCY_MS))
        mongo = running.enter_context(Mongod.start(place / "mongo"))
        home = AirflowHome(
            directory=place / "airflow",
            dags=DAGS,
            plugins=ROOT / "plugins",
            connections={CONNECTION: service, "mongo_default": mongo_connection(mongo.uri)},
            # More tasks at once would only wait for each other.
            parallelism=len(usable),
        )
        airflow = running.enter_context(Airflow(home))
        yield airflow.client(), mongo.uri


def _timed(client: AirflowClient, mongo_uri: str, way: Way) -> tuple[float, float]:
    client.wait_parsed(way.dag_id, file=DAGS / f"{way.dag_id}.py")
    client.unpause(way.dag_id)
    with MongoClient[dict[str, Any]](mongo_uri) as mongo:
        mongo["bench"].drop_collection(way.collection)
        run_id = client.trigger(way.dag_id)
        run = client.wait_run(way.dag_id, run_id, timeout_s=PATIENCE_S)
        documents = mongo["bench"][way.collection].count_documents({})
    if run["state"] != "success" or documents != COUNT:
        raise RunFailed(way.dag_id, documents, client.task_states(way.dag_id, run_id))
    fetches = [task for task in client.task_instances(way.dag_id, run_id) if task["task_id"] == "fetch"]
    return _span(fetches), _span([run])


def _span(parts: Sequence[dict[str, Any]]) -> float:
    """Return the seconds from the first start to the last end."""
    begun = min(datetime.fromisoformat(part["start_date"]) for part in parts)
    ended = max(datetime.fromisoformat(part["end_date"]) for part in parts)
    return (ended - begun).total_seconds()
