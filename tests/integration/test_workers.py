"""Two Celery workers without a common home; one of them is lost, with its disk, and its messages come again."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from harness.airflow import Airflow, AirflowClient, AirflowHome, CeleryWorker, celery_config
from harness.mongod.replica_set import ReplicaSet
from harness.redis import Redis
from harness.service import DemoService
from tests.integration.dags.workers import COUNT, PER_S, SHARDS
from tests.integration.deliveries import LOOK_OFTEN, Deliveries, Message
from tests.integration.runs import Run, until
from tests.postgres import postgres, sql_alchemy_conn
from tests.shared import PLUGINS, connections

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = [pytest.mark.airflow, pytest.mark.own_airflow, pytest.mark.slow]

DAGS = Path(__file__).with_name("dags")
DAG_ID = "workers"
CALLS = "/calls"
CONCURRENCY = 10
# At 200 requests per second: after 40 s.
UNTIL_LOST = 8_000
# What a machine has on its disk alone, when it is lost.
NOT_SENT_UP_S = 10
LOST_SOON = {
    # A worker isn't missed before that, so it is longer than any pause of a busy machine.
    "scheduler.task_instance_heartbeat_timeout": "30",
    "scheduler.task_instance_heartbeat_timeout_detection_interval": "2",
}


@dataclass(frozen=True)
class Site:
    """What a team runs: an Airflow, two workers, and what they ask and write to."""

    client: AirflowClient
    workers: list[CeleryWorker]
    service: DemoService
    deliveries: Deliveries
    loaded: Database[dict[str, Any]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """All of it, ready; the staging area is one folder that both workers see."""
    with ExitStack() as running:
        service = running.enter_context(DemoService.start(subscribers=COUNT, latency_ms=100.0))
        replica_set = running.enter_context(ReplicaSet.start(tmp_path / "mongo"))
        redis = running.enter_context(Redis.start(tmp_path / "redis"))
        metadata = sql_alchemy_conn(running.enter_context(postgres()))
        home = AirflowHome(
            directory=tmp_path / "home",
            dags=tmp_path / "dags",
            plugins=PLUGINS,
            connections=connections(service.url, replica_set.uri),
            config={
                **celery_config(redis.url, metadata),
                **LOOK_OFTEN,
                **LOST_SOON,
                "fanout.staging": str(tmp_path / "staging"),
            },
            parallelism=4 * SHARDS,
        )
        home.dags.mkdir()
        shutil.copy(DAGS / "workers.py", home.dags)
        airflow = running.enter_context(Airflow(home, triggerer=True))
        workers = [
            running.enter_context(CeleryWorker.start(airflow.site, name, tmp_path / name, slots=SHARDS))
            for name in ("one", "two")
        ]
        client = airflow.client()
        client.wait_parsed(DAG_ID, file=home.dags / "workers.py")
        client.unpause(DAG_ID)
        for worker in workers:
            worker.wait_ready()
        deliveries = Deliveries(running.enter_context(redis.client()))
        mongo = running.enter_context(MongoClient[dict[str, Any]](replica_set.uri))
        yield Site(client, workers, service, deliveries, mongo["tests"])


@dataclass(frozen=True)
class Loss:
    """A worker that is lost, with the messages of its shards, and the one that lives on."""

    lost: CeleryWorker
    living: CeleryWorker
    messages: Mapping[int, Message]
    others: frozenset[int]

    @classmethod
    def of_the_busier(cls, site: Site, run: Run) -> Loss:
        """Lose the worker that runs more shards, and its disk."""
        shards = {worker.name: shards_of(worker, run) for worker in site.workers}
        living, lost = sorted(site.workers, key=lambda worker: len(shards[worker.name]))
        messages = {shard: site.deliveries.of_shard(shard, 1) for shard in shards[lost.name]}
        lost.destroy()
        return cls(lost, living, messages, frozenset(shards[living.name]))

    @property
    def most_again(self) -> float:
        """How many requests may be sent twice: those whose outcomes were on the lost disk alone, or in flight."""
        return len(self.messages) * (NOT_SENT_UP_S * PER_S / SHARDS + CONCURRENCY)


def shards_of(worker: CeleryWorker, run: Run) -> list[int]:
    """Return the shards whose tasks a worker runs."""
    return [
        task["map_index"]
        for task in run.client.task_instances(DAG_ID, run.run_id)
        if task["task_id"] == "fetch" and task["state"] == "running" and worker.runs(task["pid"])
    ]


def is_busy(site: Site, run: Run) -> bool:
    """Tell whether all shards run, and have sent what they send in 40 s."""
    are_running = sum(len(shards_of(worker, run)) for worker in site.workers) == SHARDS
    return are_running and site.service.stats()["by_path"].get(CALLS, 0) >= UNTIL_LOST


def deliver_again(site: Site, messages: Collection[Message], loss: Loss) -> None:
    """Deliver messages for the second time, and wait until the living worker has dealt with them."""
    for message in messages:
        site.deliveries.again(message)
    for message in messages:
        until(lambda: message.celery_id in loss.living.output, what=f"another delivery of {message}")  # noqa: B023
    until(lambda: site.deliveries.settled(messages), what=f"an end of {messages}")


def is_complete(site: Site, run: Run) -> None:
    """Compare what was loaded with what there is."""
    assert set(run.states.values()) == {"success"}
    assert run.returned("load")["documents"] == COUNT
    assert site.loaded[DAG_ID].count_documents({}) == len(site.loaded[DAG_ID].distinct("tel")) == COUNT


def test_a_lost_worker_costs_the_last_seconds_of_its_shards(site: Site) -> None:
    """The other worker finishes: each document once, and requested again is only what the lost disk had alone.

    Redis delivers the lost worker's messages again: at once, while their shards are tried again, and after the run.
    A message of the living worker comes again, too. Nothing changes.
    """
    run = Run.trigger(site.client, DAG_ID)
    until(lambda: is_busy(site, run), what=f"all shards running, and {UNTIL_LOST} requests")
    loss = Loss.of_the_busier(site, run)
    first, second, *rest = loss.messages

    # Airflow takes the shard for running still.
    deliver_again(site, [loss.messages[first]], loss)
    until(lambda: all(run.tries("fetch", shard) == 2 for shard in loss.messages), what="another try of each shard")
    site.deliveries.again(site.deliveries.of_shard(second, 2))
    deliver_again(site, [loss.messages[second]], loss)
    run.succeeded()

    asked = site.service.asked()
    again = sum(times - 1 for times in asked.values())
    resumed = sum(run.returned("fetch", shard)["resumed"] for shard in loss.messages)
    print(f"\n{len(loss.messages)} shards lost, {again} requests sent twice, {resumed} parameters resumed")
    assert again <= loss.most_again
    assert resumed >= UNTIL_LOST / 4
    assert [run.tries("fetch", shard) for shard in range(SHARDS)] == [
        1 if shard in loss.others else 2 for shard in range(SHARDS)
    ]
    is_complete(site, run)

    deliver_again(site, [loss.messages[shard] for shard in rest], loss)
    assert site.service.asked() == asked
    assert run.client.run(DAG_ID, run.run_id)["state"] == "success"
    is_complete(site, run)
