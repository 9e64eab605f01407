"""Two Celery workers without a common home; one of them is lost, with its disk, and its messages come again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from harness.airflow import Airflow, AirflowClient, AirflowHome, CeleryWorker, celery_config
from harness.airflow.connections import mongo_connection
from harness.mongod.replica_set import ReplicaSet
from harness.numbers import number
from harness.redis import Redis
from harness.s3 import S3Server
from harness.service import DemoService
from tests.integration.dags.workers import COUNT, SHARDS
from tests.integration.deliveries import LOOK_OFTEN, Deliveries, Message
from tests.integration.runs import Run, until
from tests.metadata import copied
from tests.postgres import sql_alchemy_conn
from tests.shared import PLUGINS, Servers

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = [pytest.mark.airflow, pytest.mark.own_airflow, pytest.mark.slow]

DAGS = Path(__file__).with_name("dags")
DAG_ID = "workers"
CONCURRENCY = 10
PER_S = 200
BUDGET = {"name": "workers", "rate_per_s": PER_S}
# After 40 s.
UNTIL_LOST = 40 * PER_S
# Each shard has sent as many by then: for ten seconds and more, all of them have had the same rate.
STEADY = 15 * PER_S // SHARDS
# Airflow as the tests start it looks every few tenths of a second, which eight tasks would pay for with a whole core.
SELDOM = {
    "dag_processor.min_file_process_interval": "600",
    "scheduler.scheduler_idle_sleep_time": "1",
    "workers.min_heartbeat_interval": "5",
}
LOST_SOON = {
    # A worker isn't missed before that, so it is longer than any pause of a busy machine.
    "scheduler.task_instance_heartbeat_timeout": "30",
    "scheduler.task_instance_heartbeat_timeout_detection_interval": "2",
}


@dataclass(frozen=True)
class Area:
    """A staging area that both workers reach.

    :param lost_s: how many seconds of outcomes are on a worker's disk alone.
    :param logs: where Airflow finds the logs of tasks that have ended; nothing if they stay on the workers' disks.
    """

    config: Mapping[str, str]
    connections: Mapping[str, str]
    lost_s: float
    logs: str = ""


@dataclass(frozen=True)
class Site:
    """What a team runs: an Airflow, two workers, and what they ask and write to."""

    client: AirflowClient
    workers: list[CeleryWorker]
    service: DemoService
    deliveries: Deliveries
    loaded: Database[dict[str, Any]]
    area: Area


@contextmanager
def in_storage(place: Path) -> Iterator[Area]:
    """Keep the staging area and the logs in an S3 server: the workers have no disk in common."""
    with S3Server.start(place / "s3.log", buckets=("fanout",)) as server:
        config = {
            "fanout.staging": "s3://staging@fanout/staging",
            "logging.remote_logging": "True",
            "logging.remote_base_log_folder": "s3://fanout/logs",
            "logging.remote_log_conn_id": "staging",
        }
        yield Area(config, {"staging": server.connection}, lost_s=10.0, logs="s3://fanout/logs/")


@contextmanager
def in_folder(place: Path) -> Iterator[Area]:
    """Keep the staging area in a folder that both workers see."""
    yield Area({"fanout.staging": str(place / "staging")}, {}, lost_s=2.0)


@pytest.fixture(params=[in_storage, pytest.param(in_folder, marks=pytest.mark.long)])
def site(tmp_path: Path, servers: Servers, request: pytest.FixtureRequest) -> Iterator[Site]:
    """All of it, ready."""
    with ExitStack() as running:
        area = running.enter_context(request.param(tmp_path))
        service = running.enter_context(DemoService.start(subscribers=COUNT, latency_ms=100.0))
        replica_set = running.enter_context(ReplicaSet.start(tmp_path / "mongo"))
        redis = running.enter_context(Redis.start(tmp_path / "redis"))
        metadata = sql_alchemy_conn(servers.ask("migrated_database", tmp_path.name), tmp_path.name)
        home = AirflowHome(
            directory=tmp_path / "home",
            dags=tmp_path / "dags",
            plugins=PLUGINS,
            connections={
                "call_api": json.dumps({"conn_type": "http", "host": service.url, "extra": {"budget": BUDGET}}),
                "mongo_default": mongo_connection(replica_set.uri),
                **area.connections,
            },
            config={
                **celery_config(redis.url, metadata),
                **LOOK_OFTEN,
                **LOST_SOON,
                **SELDOM,
                **area.config,
            },
            parallelism=4 * SHARDS,
        )
        home.dags.mkdir()
        shutil.copy(DAGS / "workers.py", home.dags)
        airflow = running.enter_context(Airflow(copied(home, servers), triggerer=True))
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
        yield Site(client, workers, service, deliveries, mongo["tests"], area)


@dataclass(frozen=True)
class Loss:
    """A worker that is lost, with the messages of its shards, and the one that lives on."""

    lost: CeleryWorker
    living: CeleryWorker
    messages: Mapping[int, Message]
    others: frozenset[int]
    lost_s: float

    @classmethod
    def of_the_busier(cls, site: Site, run: Run) -> Loss:
        """Lose the worker that runs more shards, and its disk."""
        shards = {worker.name: shards_of(worker, run) for worker in site.workers}
        living, lost = sorted(site.workers, key=lambda worker: len(shards[worker.name]))
        messages = {shard: site.deliveries.of_shard(shard, 1) for shard in shards[lost.name]}
        lost.destroy()
        return cls(lost, living, messages, frozenset(shards[living.name]), site.area.lost_s)

    @property
    def most_again(self) -> float:
        """How many requests may be sent twice: those whose outcomes were on the lost disk alone, or in flight."""
        return len(self.messages) * (self.lost_s * PER_S / SHARDS + CONCURRENCY)


def shards_of(worker: CeleryWorker, run: Run) -> list[int]:
    """Return the shards whose tasks a worker runs."""
    return [
        task["map_index"]
        for task in run.client.task_instances(DAG_ID, run.run_id)
        if task["task_id"] == "fetch" and task["state"] == "running" and worker.runs(task["pid"])
    ]


def asked_of(shard: int, asked: Mapping[str, int]) -> int:
    """Return how many of a shard's parameters were requested."""
    size = COUNT // SHARDS
    return sum(number(index) in asked for index in range(shard * size, (shard + 1) * size))


def is_busy(site: Site, run: Run) -> bool:
    """Tell whether all shards have been sending for a while, on either worker."""
    asked = site.service.asked()
    return (
        len(asked) >= UNTIL_LOST
        and min(asked_of(shard, asked) for shard in range(SHARDS)) >= STEADY
        and sum(len(shards_of(worker, run)) for worker in site.workers) == SHARDS
    )


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
    until(lambda: is_busy(site, run), what=f"{UNTIL_LOST} requests, and {STEADY} of each shard")
    loss = Loss.of_the_busier(site, run)
    first, second, *rest = loss.messages
    before = site.service.asked()

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
    assert resumed >= sum(asked_of(shard, before) for shard in loss.messages) - loss.most_again > 0
    assert [run.tries("fetch", shard) for shard in range(SHARDS)] == [
        1 if shard in loss.others else 2 for shard in range(SHARDS)
    ]
    is_complete(site, run)
    assert site.area.logs in run.log("fetch", first)

    deliver_again(site, [loss.messages[shard] for shard in rest], loss)
    assert site.service.asked() == asked
    assert run.client.run(DAG_ID, run.run_id)["state"] == "success"
    is_complete(site, run)
