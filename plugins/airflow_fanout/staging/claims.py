"""Mapped loads of one run: a collection belongs to one of them, if they would remove each other's documents."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from airflow_fanout.staging import layout
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.errors import SharedTarget
from airflow_fanout.staging.store import Location, Taken


def claim_target(directory: ListDirectory, *, task_id: str, map_index: int, mode: str, target: str) -> None:
    """Take a collection for one instance of a mapped load; a repeated load has it already.

    :param target: the connection, the database and the collection.
    :raises SharedTarget: when another instance of the same run has it.
    """
    name = hashlib.sha256(f"{task_id}\n{target}".encode()).hexdigest()[:32]
    claims = directory.targets
    own = Location(claims.store, layout.target(claims.key, name, map_index))
    with suppress(Taken):
        own.create()
    if others := [index for index in layout.claimants(claims.names(), name) if index != map_index]:
        # Two that begin at the same moment both give way.
        own.delete()
        other = layout.target(claims.key, name, others[0])
        raise SharedTarget(target.rpartition("/")[2], mode, others[0], claims.store.address(other))
