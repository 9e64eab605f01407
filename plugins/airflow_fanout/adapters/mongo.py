"""An Airflow connection of type Mongo becomes a client, and what can't work there becomes a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_fanout.errors import BadConnection
from airflow_fanout.mongo.namespaces import name_problems

if TYPE_CHECKING:
    from airflow.sdk.definitions.connection import Connection

    from airflow_fanout.mongo.reading import DocumentFinder

CONN_TYPE = "mongo"
# The driver's options that name a file, in both spellings that it knows.
FILES = ("tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TIME_LIMITS = ("timeoutMS", "socketTimeoutMS")


class MongoLogin(msgspec.Struct, frozen=True, kw_only=True):
    """A client, and what an error of it is called.

    :param auth_source: the database where MongoDB looks for the user.
    """

    client: Any
    conn_id: str
    auth_source: str


@contextmanager
def mongo_login(conn_id: str) -> Iterator[MongoLogin]:
    """Make the client of a connection, through Airflow's `MongoHook`; nothing is sent yet.

    :raises BadConnection: when the connection isn't there, or can't lead to a MongoDB.
    """
    # Imported here: parsing a DAG file with one of our operators must not load MongoDB's driver.
    from airflow.providers.mongo.hooks.mongo import MongoHook

    from airflow_fanout.mongo.access import client_of

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        connection = None
    if connection is None:
        raise BadConnection(conn_id, "isn't there")
    if problem := connection_problem(connection):
        raise BadConnection(conn_id, problem)
    hook = MongoHook(mongo_conn_id=conn_id)
    # They would end a step of load's that has no limit, such as building an index; load has limits of its own.
    limited = {name.lower() for name in TIME_LIMITS}
    hook.extras = {name: value for name, value in hook.extras.items() if name.lower() not in limited}
    hook.extras |= dict.fromkeys(TIME_LIMITS)
    source = str(connection.extra_dejson.get("authSource") or connection.schema or "admin")
    with hook:
        yield MongoLogin(client=client_of(hook.get_conn, conn_id), conn_id=conn_id, auth_source=source)


def connection_problem(connection: Connection) -> str | None:
    """Return why a connection can't lead to a MongoDB, `None` if it can."""
    kind = connection.conn_type
    if kind != CONN_TYPE:
        srv = ' and {"srv": true} in the extra' if kind == "mongodb+srv" else ""
        return f"has the type {kind!r}, and Airflow's MongoHook wants {CONN_TYPE!r} (mongo://… as an address){srv}"
    if not (connection.host or "").strip():
        return "has no host"
    extra = connection.extra_dejson
    if bool(connection.login) != bool(connection.password) and "authMechanism" not in extra:
        there, missing = ("login", "password") if connection.login else ("password", "login")
        return f"has a {there} and no {missing}, and MongoHook drops one without the other"
    if connection.port and extra.get("srv"):
        return 'has "srv" in its extra and a port, and a name that is looked up has none: remove the port'
    for option in FILES:
        path = extra.get(option)
        if path and not os.access(str(path), os.R_OK):
            return f"names the file {path} as {option}, and it isn't there or can't be read on this worker"
    return None


@contextmanager
def documents_of(conn_id: str) -> Iterator[DocumentFinder]:
    """Give what finds documents in the MongoDB of a connection.

    :raises BadConnection: when the connection isn't there, or can't lead to a MongoDB.
    """
    from airflow_fanout.mongo.reading import DocumentFinder

    with mongo_login(conn_id) as login:
        yield DocumentFinder(login.client, login.conn_id, login.auth_source)


def target_problems(
    *, mongo_conn_id: str, database: str, collection: str, mode: str, key: Sequence[str], within_s: float
) -> list[str]:
    """Return all that keeps load from writing, found by looking; none if it can. Nothing is written.

    :param key: the fields that find one document of the collection, the date first.
    :param within_s: how long MongoDB may take for its answers.
    :raises MongoUnreachable: when it doesn't answer.
    """
    from airflow_fanout.mongo.preflight import target_problems as problems

    try:
        with mongo_login(mongo_conn_id) as login:
            return problems(
                login.client,
                database,
                collection,
                conn_id=login.conn_id,
                auth_source=login.auth_source,
                mode=mode,
                key=key,
                within_s=within_s,
            )
    except BadConnection as error:
        return [*name_problems(database, collection), str(error)]


def login_problems(mongo_conn_id: str, *, within_s: float) -> list[str]:
    """Return why the connection's user can't log in; none if it can.

    :raises MongoUnreachable: when MongoDB doesn't answer.
    """
    from airflow_fanout.mongo.preflight import login_problems as problems

    try:
        with mongo_login(mongo_conn_id) as login:
            return problems(login.client, conn_id=login.conn_id, auth_source=login.auth_source, within_s=within_s)
    except BadConnection as error:
        return [str(error)]
