"""MongoDBs of another kind: one that wants a login, one that can be made to fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from harness.mongod import Mongod, find_mongod
from harness.processes import Kept, free_port

PASSWORD = "a password"
# name: where it was made, and its roles
USERS: dict[str, tuple[str, list[Any]]] = {
    "reader": ("admin", [{"role": "read", "db": "reports"}]),
    "writer": ("admin", [{"role": "readWrite", "db": "reports"}]),
    "local": ("reports", [{"role": "readWrite", "db": "reports"}]),
    "narrow": ("admin", ["calls_only"]),
    "root": ("admin", ["root"]),
}
CALLS_ONLY = {
    "resource": {"db": "reports", "collection": "calls"},
    "actions": ["find", "insert", "update", "createIndex", "listIndexes"],
}


@contextmanager
def secured(folder: Path) -> Iterator[int]:
    """Start such a server; give its port."""
    with Mongod.start(folder) as server, MongoClient[Any](server.uri) as client:
        client.admin.command("createRole", "calls_only", privileges=[CALLS_ONLY], roles=[])
        for name, (database, roles) in USERS.items():
            client[database].command("createUser", name, pwd=PASSWORD, roles=roles)
    with _running(folder, "--auth") as port:
        yield port


@contextmanager
def failing(folder: Path) -> Iterator[MongoClient[dict[str, Any]]]:
    """Start a server that fails or stops where it is told to (`configureFailPoint`); give a client of it."""
    folder.mkdir(exist_ok=True)
    with (
        _running(folder, "--setParameter", "enableTestCommands=1") as port,
        MongoClient[dict[str, Any]]("127.0.0.1", port) as client,
    ):
        yield client


@contextmanager
def _running(folder: Path, *options: str) -> Iterator[int]:
    port = free_port()
    command = [str(find_mongod()), "--dbpath", str(folder), "--bind_ip", "127.0.0.1", "--port", str(port)]
    kept = Kept.start([*command, "--nounixsocket", *options], log=folder / "another.log")
    try:
        _await(port)
        yield port
    finally:
        kept.stop(10.0)


def _await(port: int) -> None:
    with MongoClient[Any]("127.0.0.1", port, serverSelectionTimeoutMS=500) as client:
        deadline = time.monotonic() + 60
        while True:
            try:
                client.admin.command("ping")
            except PyMongoError:
                assert time.monotonic() < deadline
            else:
                return
