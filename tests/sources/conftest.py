"""The databases that lists are read from, each behind an Airflow connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import uuid4

import psycopg2
import pytest

from tests.postgres import DATABASE, HOST, USER
from tests.shared import Servers


@pytest.fixture(scope="session")
def postgres_port(servers: Servers) -> int:
    """The port of the shared PostgreSQL."""
    return int(servers.ask("postgres_port"))


@pytest.fixture(scope="module")
def database(postgres_port: int) -> Iterator[str]:
    """The name of a new, empty database."""
    name = f"lists_{uuid4().hex[:8]}"
    server = psycopg2.connect(host=HOST, port=postgres_port, user=USER, dbname=DATABASE)
    server.autocommit = True
    with server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield name
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    server.close()


@pytest.fixture
def warehouse(
    postgres_port: int, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor in that database, which the connection `warehouse` leads to."""
    conn = {"conn_type": "postgres", "host": HOST, "port": postgres_port, "login": USER, "schema": database}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(conn))
    connection = psycopg2.connect(host=HOST, port=postgres_port, user=USER, dbname=database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()
