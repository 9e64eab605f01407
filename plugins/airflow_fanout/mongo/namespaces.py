"""Which names MongoDB takes for a database and a collection, known without its driver: while a DAG file is parsed.

https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
"""

from __future__ import annotations

import re

LONGEST_DATABASE = 63
LONGEST_NAMESPACE = 255
# A temporary collection of ours: a hash of the run, then a part that differs for each try.
TEMPORARY = r"\.fanout-[0-9a-f]{12}-[0-9a-f]{8}"
TEMPORARY_BYTES = 29
# Where loads note which temporary collections are theirs.
LEASES = "fanout.leases"

SERVERS_OWN = frozenset({"admin", "config", "local"})
# Windows refuses some more; a database that is made there is named there, too.
NOT_IN_DATABASE = '/\\. "$\0'
# What a template makes of a value that isn't there.
NOTHING = frozenset({"", "None"})


def database_problem(name: object) -> str | None:
    """Return why MongoDB or load refuses a database's name, `None` if both take it."""
    if not isinstance(name, str) or name.strip() in NOTHING:
        return f"database is {name!r}: give a name. If it is a template, its value is missing"
    if bad := [sign for sign in NOT_IN_DATABASE if sign in name]:
        return f"database is {name!r}: MongoDB doesn't allow {bad[0]!r} in the name of a database"
    if (size := len(name.encode(errors="replace"))) > LONGEST_DATABASE:
        return f"database is {name!r}: it has {size} bytes, and MongoDB allows {LONGEST_DATABASE}"
    if name.lower() in SERVERS_OWN:
        return f"database is {name!r}, which MongoDB keeps for itself: choose another one"
    return None


def collection_problem(name: object) -> str | None:
    """Return why MongoDB or load refuses a collection's name, `None` if both take it."""
    if not isinstance(name, str) or name.strip() in NOTHING:
        return f"collection is {name!r}: give a name. If it is a template, its value is missing"
    if bad := [sign for sign in "$\0" if sign in name]:
        return f"collection is {name!r}: MongoDB doesn't allow {bad[0]!r} in the name of a collection"
    if name.startswith(".") or name.endswith(".") or ".." in name:
        return f"collection is {name!r}: the name can't begin or end with a dot, or have two in a row"
    if name.startswith("system."):
        return f"collection is {name!r}: MongoDB keeps names that begin with 'system.' for itself"
    if name == LEASES or re.search(f"{TEMPORARY}$", name):
        return f"collection is {name!r}, a name that load uses for collections of its own: choose another one"
    return None


def namespace_problem(database: str, collection: str, *, temporary: bool) -> str | None:
    """Return why a collection's whole name is too long, `None` if it isn't.

    :param temporary: whether load needs a temporary collection, whose name is longer.
    """
    size = len(f"{database}.{collection}".encode(errors="replace"))
    most = LONGEST_NAMESPACE - (TEMPORARY_BYTES if temporary else 0)
    if size <= most:
        return None
    why = ", less what the name of a temporary collection needs" if temporary else ""
    return (
        f"{database}.{collection} has {size} bytes, and {most} are possible (MongoDB allows {LONGEST_NAMESPACE}{why})"
    )


def name_problems(database: object, collection: object) -> list[str]:
    """Return all that is wrong with the names of a database and a collection."""
    problems = [database_problem(database), collection_problem(collection)]
    if not any(problems):
        problems.append(namespace_problem(str(database), str(collection), temporary=False))
    return [problem for problem in problems if problem]
