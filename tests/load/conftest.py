from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import settings
from pymongo import MongoClient

from harness.airflow.connections import mongo_connection
from tests.load.reports import Service, serving

if TYPE_CHECKING:
    from pymongo.collection import Collection

# On a busy machine an example may take any time; what a test proves is no matter of time.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="package")
def client(mongo_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the real MongoDB."""
    with MongoClient[dict[str, Any]](mongo_uri) as made:
        yield made


@pytest.fixture(scope="package")
def shared_service() -> Iterator[Service]:
    """One API for all tests that run whole reports."""
    with serving() as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Service:
    """The API, without faults."""
    shared_service.reset()
    return shared_service


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mongo_uri: str, service: Service) -> Path:
    """Return a staging area of the test's own, with the connections of its reports."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path / "staging"))
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))
    monkeypatch.setenv("AIRFLOW_CONN_CALL_API", json.dumps({"conn_type": "http", "host": service.url}))
    return tmp_path / "staging"


@pytest.fixture
def collection(client: MongoClient[dict[str, Any]]) -> Iterator[Collection[dict[str, Any]]]:
    """A collection of the test's own."""
    made = client.reports[f"test_{uuid4().hex}"]
    yield made
    made.drop()
