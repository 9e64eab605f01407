"""Makes the replica set of docker-compose.yaml and its users; run again, it changes only passwords and rights.

It runs in the network of the first member: while there is no user, MongoDB lets only its own machine in.
"""

from __future__ import annotations

import os
import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

# MongoDB's codes.
UNAUTHORIZED, AUTHENTICATION_FAILED, ALREADY_INITIALIZED = 13, 18, 23
LOCAL = os.environ.get("MONGO_LOCAL", "127.0.0.1:27017")
MEMBERS = os.environ["MONGO_MEMBERS"].split(",")
REPLICA_SET = "rs0"
PRIMARY_LIMIT_S = 60.0

# Makes users and looks after the replica set; it can't read a document.
OPERATOR = "operator"
OPERATORS_ROLES = ["userAdminAnyDatabase", "clusterAdmin"]
# The reports: they may read and write their own database, and that of the request budgets.
REPORTS = "fanout"
DATABASES = ("reports", "fanout")


def main() -> None:
    """Make what isn't there yet."""
    operators_password = os.environ["MONGO_OPERATOR_PASSWORD"]
    with connected() as client:
        if not logs_in(client, operators_password):
            initiate(client)
            create_operator(client, operators_password)
    with MongoClient[dict[str, Any]](
        MEMBERS, replicaSet=REPLICA_SET, username=OPERATOR, password=operators_password
    ) as client:
        rights = [{"role": "readWrite", "db": database} for database in DATABASES]
        is_there = client.admin.command("usersInfo", REPORTS)["users"]
        command = "updateUser" if is_there else "createUser"
        client.admin.command(command, REPORTS, pwd=os.environ["MONGO_PASSWORD"], roles=rights)


def connected(username: str | None = None, password: str | None = None) -> MongoClient[dict[str, Any]]:
    """Return a client of the member beside this process, logged in if there is a name."""
    return MongoClient(LOCAL, directConnection=True, username=username, password=password)


def logs_in(client: MongoClient[dict[str, Any]], password: str) -> bool:
    """Tell whether the operator is there, with this password."""
    if client.admin.command("hello").get("setName") is None:
        return False
    with connected(username=OPERATOR, password=password) as operator:
        try:
            operator.admin.command("ping")
        except OperationFailure as refusal:
            if refusal.code != AUTHENTICATION_FAILED:
                raise
            return False
    return True


def initiate(client: MongoClient[dict[str, Any]]) -> None:
    """Make the members a replica set, unless they are one, and wait until this one is its primary."""
    members = [
        # The first member is the one that users are made on.
        {"_id": number, "host": host, "priority": 2 if number == 0 else 1}
        for number, host in enumerate(MEMBERS)
    ]
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    except OperationFailure as refusal:
        if refusal.code == UNAUTHORIZED:
            raise SystemExit(
                f"MongoDB has users, and the password of {OPERATOR!r} isn't MONGO_OPERATOR_PASSWORD. "
                "Set it in .env to the one with which the users were made."
            ) from None
        if refusal.code != ALREADY_INITIALIZED:
            raise
    deadline = time.monotonic() + PRIMARY_LIMIT_S
    while not client.admin.command("hello")["isWritablePrimary"]:
        if time.monotonic() > deadline:
            raise SystemExit(
                f"{MEMBERS[0]} isn't primary after {PRIMARY_LIMIT_S:g} s: look at the logs of the members."
            )
        time.sleep(0.2)


def create_operator(client: MongoClient[dict[str, Any]], password: str) -> None:
    """Make the first user; from then on everybody logs in."""
    client.admin.command("createUser", OPERATOR, pwd=password, roles=OPERATORS_ROLES)


def admit_reports(client: MongoClient[dict[str, Any]], password: str) -> None:
    """Make the user of the reports, or give the one that is there this password and these rights."""
    rights = [{"role": "readWrite", "db": database} for database in DATABASES]
    is_there = client.admin.command("usersInfo", REPORTS)["users"]
    client.admin.command("updateUser" if is_there else "createUser", REPORTS, pwd=password, roles=rights)


if __name__ == "__main__":
    main()
