"""Whether a connection leads to a MongoDB that lets its user load: asked before anything is requested or written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from airflow_fanout.errors import BadConnection, FanoutError
from airflow_fanout.mongo.errors import MongoDenied, MongoUnreachable
from airflow_fanout.mongo.explain import without_dump

if TYPE_CHECKING:
    from pymongo import MongoClient

UNAUTHORIZED = 13
AUTHENTICATION_FAILED = 18

WRITES = frozenset({"find", "insert", "update", "listIndexes"})
# By https://www.mongodb.com/docs/manual/reference/privilege-actions/.
ACTIONS: Mapping[str, frozenset[str]] = {
    "upsert": WRITES,
    "replace_run": WRITES | {"remove"},
    "swap": WRITES | {"remove", "createCollection", "createIndex", "dropCollection", "renameCollectionSameDB"},
}


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """How a client reached its MongoDB, for the texts of its errors.

    :param conn_id: the Airflow connection.
    :param auth_source: the database where MongoDB looks for the user.
    """

    conn_id: str = "mongo_default"
    auth_source: str = "admin"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What a MongoDB says of the user of a connection.

    :param user: its name and the database where it was made; `None` where nobody has to log in.
    :param privileges: as `connectionStatus` gives them; `None` if the server doesn't tell them.
    """

    user: tuple[str, str] | None = None
    privileges: Sequence[Mapping[str, Any]] | None = None

    def may(self, action: str, database: str, collection: str, mode: str) -> bool:
        """Tell whether the user may do something, as far as the server tells."""
        if self.user is None or self.privileges is None:
            return True
        # The name of a temporary collection isn't known to any privilege but one on the whole database.
        names = ("",) if mode == "swap" else ("", collection)
        for privilege in self.privileges:
            resource = privilege["resource"]
            # Of a cluster, it has no database.
            is_here = resource.get("db") in ("", database) and resource.get("collection") in names
            if (is_here or resource.get("anyResource")) and {action, "anyAction"} & set(privilege["actions"]):
                return True
        return False

    def problems(self, database: str, collection: str, mode: str, *, needs_index: bool) -> list[str]:
        """Return in words what the user may not do; none if nothing is missing.

        :param needs_index: whether load has to make the unique index.
        """
        needed = {*ACTIONS[mode], "createIndex"} if needs_index else ACTIONS[mode]
        missing = sorted(action for action in needed if not self.may(action, database, collection, mode))
        if self.user is None or not missing:
            return []
        user, made_in = self.user
        place = f"the whole database {database}" if mode == "swap" else f"{database}.{collection}"
        grant = f'db.grantRolesToUser("{user}", [{{role: "readWrite", db: "{database}"}}])'
        lacks = f"has no right to {', '.join(missing)} in {place}, and mode={mode!r} needs that"
        return [f"logs in as {user!r}, who {lacks}. Grant the role: use {made_in}; {grant}."]


def access_of(client: MongoClient[Any], database: str) -> Access:
    """Ask MongoDB who we are there, and what we may do.

    :raises PyMongoError: when it doesn't answer, or refuses the login.
    """
    try:
        status = client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
    except OperationFailure as error:
        if error.code == AUTHENTICATION_FAILED:
            raise
        # Servers that only speak MongoDB's protocol needn't know this; what they refuse, they refuse later.
        return Access()
    users = status["authenticatedUsers"]
    if users:
        return Access(user=(users[0]["user"], users[0]["db"]), privileges=status.get("authenticatedUserPrivileges"))
    # Anybody is answered this. Where a login is needed, the next question isn't answered without.
    client.get_database(database).list_collection_names(authorizedCollections=True, nameOnly=True)
    return Access()


def refusal(error: PyMongoError, client: MongoClient[Any], conn_id: str, auth_source: str) -> FanoutError | None:
    """Return in words why MongoDB doesn't answer or refuses the login; `None` if an error is about something else.

    :param auth_source: the database where the server looks for the user.
    """
    code = error.code if isinstance(error, OperationFailure) else None
    if code == AUTHENTICATION_FAILED:
        other = "admin" if auth_source != "admin" else "the database that it was made in"
        return MongoDenied(
            conn_id,
            "is refused by its MongoDB: the login or the password is wrong, or the user isn't in the database "
            f"{auth_source!r}, where MongoDB looked for it. Correct the login or the password, or set "
            f'"authSource" in the connection\'s extra to the database of the user (here perhaps {other}).',
        )
    if code == UNAUTHORIZED and "requires authentication" in str(error):
        return MongoDenied(conn_id, "has no login, and its MongoDB wants one. Enter login and password there.")
    if isinstance(error, ConnectionFailure):
        return unreachable(client, conn_id, error)
    return None


def client_of(make: Callable[[], MongoClient[Any]], conn_id: str) -> MongoClient[Any]:
    """Return the client that a hook makes of a connection.

    :raises BadConnection: when the driver doesn't take what the connection says.
    """
    try:
        return make()
    except (PyMongoError, OSError, ValueError, TypeError) as error:
        # Of a file, it says which; of an option, its name. What stands before an "@" may be a password.
        words = re.sub(r"\S*@", "…@", without_dump(str(error)))
        problem = f"can't be used by MongoDB's driver ({type(error).__name__}: {words})"
    raise BadConnection(conn_id, problem)


def unreachable(
    client: MongoClient[Any], conn_id: str, error: PyMongoError, tried_s: float | None = None
) -> MongoUnreachable:
    """Return the error of a server that doesn't answer: the driver's own words, without its view of the whole topology.

    :param tried_s: for how long it was tried, if more than once.
    """
    why = known_failures(client) or without_dump(str(error)) or type(error).__name__
    if tried_s is not None:
        why = f"it was tried for {tried_s:g} s ({why})"
    return MongoUnreachable(conn_id, address_of(client), why)


def address_of(client: MongoClient[Any]) -> str:
    """Return the hosts and ports that a client knows, without credentials."""
    known = client.topology_description.server_descriptions()
    return ", ".join(sorted(f"{host}:{port}" if port else str(host) for host, port in known)) or "its hosts"


def known_failures(client: MongoClient[Any]) -> str:
    """Return why the driver has no connection to its servers at this moment; empty if it knows of nothing."""
    servers = client.topology_description.server_descriptions().values()
    return "; ".join(dict.fromkeys(without_dump(str(server.error)) for server in servers if server.error is not None))
