from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.connection import Connection

from airflow_fanout.adapters.mongo import connection_problem, mongo_login, target_problems
from airflow_fanout.errors import BadConnection

SECRET = "a-password-that-nobody-shows"
TARGET: dict[str, Any] = {"database": "reports", "collection": "calls", "mode": "upsert", "key": ("as_of", "tel")}


def problem(**fields: Any) -> str | None:
    """Return what a connection is told."""
    extra = fields.pop("extra", None)
    given = {"conn_type": "mongo", "host": "db.example", **fields, **({"extra": json.dumps(extra)} if extra else {})}
    return connection_problem(Connection(conn_id="mongo_reports", **given))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"conn_type": "mongodb"}, "has the type 'mongodb', and Airflow's MongoHook wants 'mongo'"),
        ({"conn_type": "mongodb+srv"}, '{"srv": true}'),
        ({"conn_type": "http"}, "has the type 'http'"),
        ({"host": ""}, "has no host"),
        ({"host": None}, "has no host"),
        ({"login": "writer"}, "has a login and no password"),
        ({"password": SECRET}, "has a password and no login"),
        ({"port": 27017, "extra": {"srv": True}}, "remove the port"),
        ({"extra": {"tls": True, "tlsCAFile": "nowhere/ca.pem"}}, "nowhere/ca.pem as tlsCAFile"),
        ({"extra": {"tlsCertificateKeyFile": "nowhere/key.pem"}}, "nowhere/key.pem as tlsCertificateKeyFile"),
    ],
    ids=str,
)
def test_a_connection_that_cannot_lead_to_a_mongodb_is_refused(fields: dict[str, Any], word: str) -> None:
    """Its type, its host, its credentials and the files that it names, before anything is sent."""
    told = problem(**fields)
    assert told is not None
    assert word in told
    assert SECRET not in told


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"login": "writer", "password": SECRET, "schema": "reports", "port": 27017},
        {"login": "CN=client", "extra": {"authMechanism": "MONGODB-X509"}},
        {"extra": {"srv": True}},
        {"extra": {"tls": True, "tlsCAFile": __file__}},
    ],
    ids=str,
)
def test_any_other_connection_is_taken(fields: dict[str, Any]) -> None:
    """What MongoHook takes is no problem."""
    assert problem(**fields) is None


@pytest.mark.parametrize(
    ("connection", "word"),
    [
        (None, "isn't there"),
        ({"conn_type": "mongodb", "host": "db.example"}, "has the type 'mongodb'"),
        ({"conn_type": "mongo", "host": "db.example", "extra": {"nonsense": 1}}, "Unknown option: nonsense"),
        ({"conn_type": "mongo", "host": "db.example", "extra": {"connectTimeoutMS": "soon"}}, "connectTimeoutMS"),
        ({"conn_type": "mongo", "host": "db.example", "port": 99999}, "Port must be"),
    ],
    ids=str,
)
def test_a_wrong_connection_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connection: dict[str, Any] | None, word: str
) -> None:
    """Each message has the connection's name, and one of them all that is wrong with the report's target."""
    if connection is not None:
        monkeypatch.setenv("AIRFLOW_CONN_MONGO_REPORTS", json.dumps({**connection, "login": "w", "password": SECRET}))
    with pytest.raises(BadConnection, match="'mongo_reports'") as caught, mongo_login("mongo_reports"):
        pass
    assert word in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
    told = target_problems(mongo_conn_id="mongo_reports", within_s=10.0, **{**TARGET, "database": "a b"})
    assert [text for text in told if word in text] == [str(caught.value)]
    assert len(told) == 2


def test_a_good_connection_has_no_problems(monkeypatch: pytest.MonkeyPatch, mongo_uri: str) -> None:
    """A new collection of a MongoDB without logins is loaded as it is."""
    host, _, port = mongo_uri.removeprefix("mongodb://").rstrip("/").partition(":")
    connection = json.dumps({"conn_type": "mongo", "host": host, "port": int(port)})
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_REPORTS", connection)
    assert target_problems(mongo_conn_id="mongo_reports", within_s=10.0, **TARGET) == []


def test_the_connections_own_time_limits_are_not_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building an index takes as long as it takes, whatever the connection says in whichever spelling."""
    extra = {"timeoutMS": 500, "sockettimeoutms": 300, "connectTimeoutMS": 700, "appname": "airflow"}
    connection = json.dumps({"conn_type": "mongo", "host": "127.0.0.1", "port": 1, "extra": extra})
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_REPORTS", connection)
    with mongo_login("mongo_reports") as login:
        pool = login.client.options.pool_options
        assert (login.client.options.timeout, pool.socket_timeout, pool.connect_timeout) == (None, None, 0.7)
