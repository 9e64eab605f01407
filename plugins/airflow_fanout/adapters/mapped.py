"""Loads that are mapped: those of one run must not remove each other's documents."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from airflow_fanout.adapters.errors import SharedTarget
from airflow_fanout.errors import BadSetting
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.files import make_folder, mode_of
from airflow_fanout.staging.listing import listed

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

# The modes that remove what the load itself hasn't written.
EXCLUSIVE = ("replace_run", "swap")
WAY_OUT = (
    '"upsert", because this load is mapped: with this mode each of its instances would remove the documents of the '
    "others. Or give each instance a collection of its own, by a template or by the mapped argument"
)


def check_mapped_mode(mode: str, database: object, collection: object, *, is_mapped: bool) -> None:
    """Raise `BadSetting` for a mapped load whose instances share one collection and would empty it for each other.

    What a template or a mapped argument gives is known when the task runs: see `claim_target`.
    """
    if is_mapped and mode in EXCLUSIVE and _is_fixed(database) and _is_fixed(collection):
        raise BadSetting("mode", mode, WAY_OUT)


def is_in_mapped_group(operator: BaseOperator) -> bool:
    """Return whether an operator is in a task group that is mapped, at whatever depth."""
    return operator.get_closest_mapped_task_group() is not None


def _is_fixed(name: object) -> bool:
    return isinstance(name, str) and "{" not in name


def claim_target(directory: ListDirectory, *, task_id: str, map_index: int, mode: str, target: str) -> None:
    """Take a collection for one instance of a mapped load; a repeated load has it already.

    :param target: the connection, the database and the collection.
    :raises SharedTarget: when another instance of the same run has it.
    """
    if map_index < 0 or mode not in EXCLUSIVE:
        return
    name = hashlib.sha256(f"{task_id}\n{target}".encode()).hexdigest()[:32]
    claims = directory.path.parents[1] / ".targets"
    own = claims / f"{name}@{map_index}"
    make_folder(own, mode_of(directory.path))
    if others := [entry for entry in listed(claims) if entry.name.startswith(f"{name}@") and entry.name != own.name]:
        # Two that begin at the same moment both give way.
        own.rmdir()
        other = int(others[0].name.partition("@")[2])
        raise SharedTarget(target.rpartition("/")[2], mode, other, others[0].path)
