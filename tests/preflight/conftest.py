"""A MongoDB that demands a login, and extract as Airflow executes it, but without an Airflow around it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from pymongo import MongoClient

from airflow_fanout import FanoutTaskGroup, HttpList, NextLink, Request
from harness.mongod import Mongod
from harness.service import DemoService

ADMIN = ("root", "r00t-s3cret")
# Every other user's password.
PASSWORD = "w0rd-s3cret"
SUBSCRIBERS = 12
LISTED = HttpList(
    http_conn_id="call_api",
    endpoint="/subscribers",
    query={"limit": "5"},
    items="subscribers",
    pages=NextLink(field="next"),
)
CALLS = Request(endpoint="/calls/{tel}", query={"day": "2026-11-20"}, result="calls")

Users = Mapping[str, list[dict[str, Any]]]
USERS: Users = {
    "writer": [{"role": "readWrite", "db": "reports"}],
    "reader": [{"role": "read", "db": "reports"}],
    "nobody": [],
}


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """A MongoDB with users, none of whom may do anything without a login."""
    folder = tmp_path_factory.mktemp("mongod-auth")
    with Mongod.start(folder) as server, MongoClient[dict[str, Any]](server.uri) as client:
        client.admin.command("createUser", ADMIN[0], pwd=ADMIN[1], roles=["root"])
        for name, roles in USERS.items():
            client.admin.command("createUser", name, pwd=PASSWORD, roles=roles)
    with Mongod.start(folder, login=ADMIN) as server:
        yield server


@pytest.fixture(scope="session")
def mongo(mongod: Mongod) -> Iterator[MongoClient[dict[str, Any]]]:
    """The administrator's client of it."""
    with MongoClient[dict[str, Any]]("127.0.0.1", mongod.port, username=ADMIN[0], password=ADMIN[1]) as client:
        yield client


@pytest.fixture(scope="session")
def api() -> Iterator[DemoService]:
    """The service that lists the subscribers; it counts what it is asked."""
    with DemoService.start(subscribers=SUBSCRIBERS) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, api: DemoService, mongod: Mongod) -> Callable[..., None]:
    """Set Airflow up for the test, and return what changes the connection of the MongoDB."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path / "staging"))
    monkeypatch.setenv("AIRFLOW_CONN_CALL_API", json.dumps({"conn_type": "http", "host": api.url}))
    api.reset_stats()

    def connect(text: str | None = None, *, login: str | None = "writer", **changes: Any) -> None:
        plain = {"conn_type": "mongo", "host": "127.0.0.1", "port": mongod.port, "extra": {"authSource": "admin"}}
        known = {"login": login, "password": PASSWORD} if login else {}
        monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", text or json.dumps({**plain, **known, **changes}))

    connect()
    return connect


@dataclass
class Run:
    """What Airflow tells an operator of its run."""

    run_id: str = "manual"
    logical_date: datetime = datetime(2026, 11, 20, tzinfo=UTC)
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    run_after: datetime = datetime(2026, 11, 20, tzinfo=UTC)
    run_type: str = "manual"


@dataclass
class Task:
    """What an operator of ours tells Airflow of its failure."""

    task_id: str = "extract"
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@dataclass
class Report:
    """A report, and what its extract needs to be executed."""

    group: Any
    dag: DAG
    params: dict[str, Any]

    def extract(self) -> Any:
        """Execute extract, and return what it returns."""
        context: Any = {"dag": self.dag, "dag_run": Run(), "params": self.params, "ti": Task(), "ds": "2026-11-20"}
        return self.group.extract.execute(context)


def report(*, params: Mapping[str, Any] | None = None, dag: Mapping[str, Any] | None = None, **parts: Any) -> Report:
    """Return a good report, changed by what is given for its operators."""
    known = dict(params or {})
    with DAG("calls", schedule=None, params=known, **(dag or {})) as made:
        group = FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": LISTED, "names": ("tel",), **parts.get("extract", {})},
            fetch={"request": CALLS, "http_conn_id": "call_api", **parts.get("fetch", {})},
            validate=parts.get("validate"),
            load={
                "database": "reports",
                "collection": "calls",
                "key": ("tel",),
                "timeout_s": 3.0,
                **parts.get("load", {}),
            },
        )
    return Report(group, made, known)
