"""What an object storage has beside the keys of `staging/layout.py`, because nothing in it is a folder.

A claim is the object `.claim` below its key. What has no number is found by a register, which is written before what it
names. Registers, histories and locks have several writers: they are written version by version, in `.versions` below
their keys. `.proofs` has, for a moment, what shows that two can't create the same object.
"""

from __future__ import annotations

from airflow_fanout.staging.layout import (
    CATCH_UP,
    FAILED,
    HELD,
    HISTORY,
    LEFT_OUTS,
    LIST,
    LOCKS,
    SETTLED,
    TARGETS,
    is_of_try,
    left_outs_below,
    numbers,
)

_CLAIM, _VERSIONS, _PROOFS = ".claim", ".versions", ".proofs"


def claim(key: str) -> str:
    """Return the key of the object by which an object storage knows what has a key: a claim's ends in a slash."""
    return f"{key}{_CLAIM}" if key.endswith("/") else key


def proof_of_number(key: str, kind: str) -> str:
    """Return the key of what is there if a numbered thing is: holders are objects, all others are claims."""
    return key if kind == HELD else claim(f"{key}/")


def proof_of_conditions(name: str) -> str:
    """Return a key that nobody else has, for finding out what an object storage does."""
    return f"{_PROOFS}/{name}"


def registers(key: str) -> list[tuple[str, str]]:
    """Return where a key is looked up: keys, each with the name below it that leads to this one.

    What has a number, or one name only, is in no register.
    """
    match key.rstrip("/").split("/"):
        case [dag, folder, kind, _] if (folder, kind) == (HISTORY, FAILED):
            return [_apart(key)]
        case [dag, folder, kind, report, _] if (folder, kind) == (HISTORY, LEFT_OUTS) and key.endswith("/"):
            return [(left_outs_below(dag), report), _apart(key)]
        case [_, _, folder, _] if folder == TARGETS:
            return [_apart(key)]
        case [dag, run, report, listed] if numbers([listed], LIST) or numbers([listed], CATCH_UP):
            return [("", dag), (dag, run), (f"{dag}/{run}", report)]
        case [*_, name] if name == SETTLED or is_of_try(name):
            return [_apart(key)]
    return []


def has_versions(key: str) -> bool:
    """Return whether several write an object, each a version of its own: a history, or a lock."""
    names = key.split("/")
    return names[0] == LOCKS or (len(names) == 3 and names[1] == HISTORY)


def version(key: str, number: int) -> str:
    """Return the key of one version of what has several writers."""
    return f"{key and key + '/'}{_VERSIONS}/{number:08d}"


def newest_version(key: str) -> str:
    """Return the key of the number of a version after which there are few, or none."""
    return f"{key and key + '/'}{_VERSIONS}/newest"


def _apart(key: str) -> tuple[str, str]:
    above, _, name = key.rstrip("/").rpartition("/")
    return above, name
