"""What all tests share that want a real Airflow: one of each server for the whole session.

Each is started when the first test asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from demo.connections import mongo_connection
from demo.mongod import Mongod
from demo.service import DemoService
from tests.statsd import StatsdServer

pytest_plugins = ["tests.airflow_fixture"]

ROOT = Path(__file__).parents[1]
SUBSCRIBERS = 2000
LATENCY_MS = 50.0


@pytest.fixture(scope="session", autouse=True)
def _path_of_children() -> None:
    """Processes started by tests, wherever they run, import what the tests import."""
    inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    ours = [str(ROOT / "plugins"), str(ROOT)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*ours, *(path for path in inherited if Path(path).is_absolute())])


@pytest.fixture(scope="session")
def call_service() -> Iterator[DemoService]:
    """The service that the connection `call_api` leads to."""
    with DemoService.start(subscribers=SUBSCRIBERS, latency_ms=LATENCY_MS) as running:
        yield running


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the MongoDB that the connection `mongo_default` leads to."""
    with Mongod.start(tmp_path_factory.mktemp("mongo")) as running:
        yield running.uri


@pytest.fixture(scope="session")
def airflow_connections(call_service: DemoService, mongo_uri: str) -> Mapping[str, str]:
    """What the session's Airflow is connected to."""
    return {
        "call_api": call_service.url,
        "hostless": '{"conn_type": "http"}',
        "mongo_default": mongo_connection(mongo_uri),
    }


@pytest.fixture(scope="session")
def statsd() -> Iterator[StatsdServer]:
    """The StatsD server that the session's Airflow tells its metrics."""
    with StatsdServer() as running:
        yield running


@pytest.fixture(scope="session")
def airflow_config(statsd: StatsdServer) -> Mapping[str, str]:
    """What the session's Airflow is set to."""
    return statsd.config
