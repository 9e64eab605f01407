"""What of a collection, and of a user's rights, would make load fail: all of it at once, found without writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.errors import PyMongoError

from airflow_fanout.mongo.access import access_of, refusal
from airflow_fanout.mongo.errors import MongoDenied, MongoUnreachable
from airflow_fanout.mongo.explain import cause_of
from airflow_fanout.mongo.namespaces import name_problems
from airflow_fanout.mongo.target import look, problems, serving

if TYPE_CHECKING:
    from pymongo import MongoClient


def target_problems(
    client: MongoClient[Any],
    database: str,
    collection: str,
    *,
    conn_id: str,
    auth_source: str,
    mode: str,
    key: Sequence[str],
    within_s: float,
) -> list[str]:
    """Return all that keeps load from writing to a collection, in sentences; none if it can.

    :param auth_source: the database where MongoDB looks for the user.
    :param key: the fields that find one document of the collection, the date first.
    :param within_s: how long MongoDB may take for all of it.
    :raises MongoUnreachable: when it doesn't answer: whoever asks decides how long to wait for it.
    """
    try:
        with pymongo.timeout(within_s):
            return _found(client, database, collection, conn_id, mode, key)
    except PyMongoError as error:
        return [*name_problems(database, collection), _refused(error, client, conn_id, auth_source)]


def login_problems(client: MongoClient[Any], *, conn_id: str, auth_source: str, within_s: float) -> list[str]:
    """Return why the connection's user can't log in; none if it can.

    :raises MongoUnreachable: when MongoDB doesn't answer.
    """
    try:
        with pymongo.timeout(within_s):
            access_of(client, "admin")
            return []
    except PyMongoError as error:
        return [_refused(error, client, conn_id, auth_source)]


def _refused(error: PyMongoError, client: MongoClient[Any], conn_id: str, auth_source: str) -> str:
    why = refusal(error, client, conn_id, auth_source)
    if isinstance(why, MongoUnreachable):
        raise why from None
    return str(why or MongoDenied(conn_id, f"could not be checked: {cause_of(error)}."))


def _found(
    client: MongoClient[Any], database: str, collection: str, conn_id: str, mode: str, key: Sequence[str]
) -> list[str]:
    if bad_names := name_problems(database, collection):
        # Whether the user may log in can be asked all the same.
        access_of(client, "admin")
        return bad_names
    access = access_of(client, database)
    if access.problems(database, collection, mode, needs_index=False):
        # Who may not write may not be let look, either.
        lacks = access.problems(database, collection, mode, needs_index=True)
        return [str(MongoDenied(conn_id, problem)) for problem in lacks]
    target = look(client.get_database(database).get_collection(collection), lambda step: step())
    lacks = access.problems(database, collection, mode, needs_index=serving(target, key) is None)
    name = target.full_name
    return [
        *(str(MongoDenied(conn_id, problem)) for problem in lacks),
        *(f"{name} can't be loaded: {problem}." for problem in problems(target, mode=mode, key=key)),
    ]
