"""Mapped loads of one run: a collection belongs to one of them, if they would remove each other's documents."""

from __future__ import annotations

import hashlib

from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.errors import SharedTarget
from airflow_fanout.staging.files import make_folder, mode_of
from airflow_fanout.staging.listing import listed


def claim_target(directory: ListDirectory, *, task_id: str, map_index: int, mode: str, target: str) -> None:
    """Take a collection for one instance of a mapped load; a repeated load has it already.

    :param target: the connection, the database and the collection.
    :raises SharedTarget: when another instance of the same run has it.
    """
    name = hashlib.sha256(f"{task_id}\n{target}".encode()).hexdigest()[:32]
    claims = directory.path.parents[1] / ".targets"
    own = claims / f"{name}@{map_index}"
    make_folder(own, mode_of(directory.path))
    if others := [entry for entry in listed(claims) if entry.name.startswith(f"{name}@") and entry.name != own.name]:
        # Two that begin at the same moment both give way.
        own.rmdir()
        other = int(others[0].name.partition("@")[2])
        raise SharedTarget(target.rpartition("/")[2], mode, other, others[0].path)
