"""What one server is asked directly, whatever set it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo import MongoClient
from pymongo.errors import OperationFailure

if TYPE_CHECKING:
    from typing import Any

# A user of the database admin, and the password.
Login = tuple[str, str]

ONE_TRY_MS = 500
# MongoDB's code for a server that is in no set so far.
NOT_YET_INITIATED = 94


def direct_client(port: int, login: Login | None = None) -> MongoClient[dict[str, Any]]:
    """Return a client of this server alone, which waits half a second for it; its owner closes it."""
    user, password = login or (None, None)
    return MongoClient(
        "127.0.0.1",
        port,
        directConnection=True,
        serverSelectionTimeoutMS=ONE_TRY_MS,
        username=user,
        password=password,
    )


def is_primary(client: MongoClient[dict[str, Any]]) -> bool:
    """Tell whether the server takes writes; raise PyMongoError if it doesn't answer."""
    return bool(client.admin.command("hello")["isWritablePrimary"])


def form_replica_set(client: MongoClient[dict[str, Any]], name: str, port: int) -> None:
    """Make the server the only member under its present port; one that was used before knows another."""
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as failure:
        if failure.code != NOT_YET_INITIATED:
            raise
        client.admin.command("replSetInitiate", {"_id": name, "members": [member]})
        return
    if config["members"][0]["host"] != member["host"]:
        moved = {**config, "version": config["version"] + 1, "members": [{**config["members"][0], **member}]}
        client.admin.command("replSetReconfig", moved, force=True)
