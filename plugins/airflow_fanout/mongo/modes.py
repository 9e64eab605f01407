"""The modes of a load, and which of them several loads of one collection can have: known without MongoDB's driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from airflow_fanout.errors import BadSetting

Mode = Literal["upsert", "replace_run", "swap"]
# The field for the run's date in a document whose key has no date: by it, an older run is kept from replacing what a
# newer one has written.
DATE_FIELD = "as_of"
# The modes that remove what the load itself hasn't written.
EXCLUSIVE = ("replace_run", "swap")
WAY_OUT = (
    '"upsert", because this load is mapped: with this mode each of its instances would remove the documents of the '
    "others. Or give each instance a collection of its own, by a template or by the mapped argument"
)


def check_mode(mode: object, *, is_dated: bool) -> None:
    """Raise `BadSetting` for what is no mode, and for a mode that needs the run's date in the key.

    :param is_dated: whether the date is part of the key.
    """
    if mode not in get_args(Mode):
        raise BadSetting("mode", mode, '"upsert", "replace_run" or "swap"')
    if mode == "replace_run" and not is_dated:
        raise BadSetting(
            "mode",
            mode,
            '"upsert" or "swap" with as_of_field=None: "replace_run" removes the other documents of the run\'s date, '
            "and without a date in the key these are documents that other runs have updated",
        )


def whole_key(as_of_field: str | None, key: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that find one document of a collection: the date first, if it is part of the key."""
    return tuple(key) if as_of_field is None else (as_of_field, *key)


def check_mapped_mode(mode: object, database: object, collection: object) -> None:
    """Raise `BadSetting` for a mapped load whose instances share one collection and would empty it for each other.

    What a template or a mapped argument gives is known when the task runs: see `staging.claims`.
    """
    if mode in EXCLUSIVE and all(isinstance(name, str) and "{" not in name for name in (database, collection)):
        raise BadSetting("mode", mode, WAY_OUT)
