"""Small JSON files that show when they were changed: each holds a digest of all else in it."""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec

from airflow_fanout import codec
from airflow_fanout.staging.errors import StagingChanged, StagingLost
from airflow_fanout.staging.store import Location

SEAL = "seal"
Form = TypeVar("Form")


def seal_of(value: object) -> str:
    """Return the digest of a value's fields, the same in whichever order they are."""
    return hashlib.sha256(codec.canonical(msgspec.to_builtins(value))).hexdigest()[:32]


def write_sealed(location: Location, value: object) -> None:
    """Write a value's fields into a file, with their seal."""
    location.put_whole(codec.encode({**msgspec.to_builtins(value), SEAL: seal_of(value)}))


def read_sealed(location: Location, form: type[Form]) -> Form | None:
    """Return a file's value; `None` if there is no such file.

    :raises StagingLost: when it isn't JSON.
    :raises StagingChanged: when it isn't what was sealed, or was written by another version.
    """
    missing: dict[str, str] = {}
    sealed = read_json(location, missing=missing)
    if sealed is missing:
        return None
    if not isinstance(sealed, dict) or sealed.pop(SEAL, None) != seal_of(sealed):
        raise StagingChanged(str(location), "was changed after it was written")
    try:
        return msgspec.convert(sealed, form)
    except msgspec.ValidationError as error:
        raise StagingChanged(str(location), f"was written by another version ({error})") from error


def read_json(location: Location, *, missing: Any = None) -> Any:
    """Return a JSON file's value; `missing` if there is no such file.

    :raises StagingLost: when it isn't JSON, or isn't there and there is no `missing`.
    """
    try:
        return codec.decode(location.content())
    except FileNotFoundError:
        if missing is None:
            raise StagingLost(str(location), "isn't there") from None
        return missing
    except codec.NotJson as error:
        raise StagingLost(str(location), f"isn't what was written ({error})") from error
