"""The modes of a load, and which of them several loads of one collection can have: known without MongoDB's driver."""

from __future__ import annotations

from typing import Literal, get_args

from airflow_fanout.errors import BadSetting

Mode = Literal["upsert", "replace_run", "swap"]
# The modes that remove what the load itself hasn't written.
EXCLUSIVE = ("replace_run", "swap")
WAY_OUT = (
    '"upsert", because this load is mapped: with this mode each of its instances would remove the documents of the '
    "others. Or give each instance a collection of its own, by a template or by the mapped argument"
)


def check_mode(mode: object) -> None:
    """Raise `BadSetting` for what is no mode."""
    if mode not in get_args(Mode):
        raise BadSetting("mode", mode, '"upsert", "replace_run" or "swap"')


def check_mapped_mode(mode: object, database: object, collection: object) -> None:
    """Raise `BadSetting` for a mapped load whose instances share one collection and would empty it for each other.

    What a template or a mapped argument gives is known when the task runs: see `staging.claims`.
    """
    if mode in EXCLUSIVE and all(isinstance(name, str) and "{" not in name for name in (database, collection)):
        raise BadSetting("mode", mode, WAY_OUT)
