"""Small JSON files that show when they were changed: each holds a digest of all else in it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from airflow_fanout import codec
from airflow_fanout.staging.errors import StagingChanged
from airflow_fanout.staging.files import read_json, write_whole

SEAL = "seal"
Form = TypeVar("Form")


def seal_of(value: object) -> str:
    """Return the digest of a value's fields, the same in whichever order they are."""
    return hashlib.sha256(codec.canonical(msgspec.to_builtins(value))).hexdigest()[:32]


def write_sealed(path: Path, value: object) -> None:
    """Write a value's fields into a file, with their seal."""
    write_whole(path, codec.encode({**msgspec.to_builtins(value), SEAL: seal_of(value)}))


def read_sealed(path: Path, form: type[Form]) -> Form | None:
    """Return a file's value; `None` if there is no such file.

    :raises StagingLost: when it isn't JSON.
    :raises StagingChanged: when it isn't what was sealed, or was written by another version.
    """
    missing: dict[str, str] = {}
    found = read_json(path, missing=missing)
    if found is missing:
        return None
    if not isinstance(found, dict) or found.pop(SEAL, None) != seal_of(found):
        raise StagingChanged(str(path), "was changed after it was written")
    try:
        return msgspec.convert(found, form)
    except msgspec.ValidationError as error:
        raise StagingChanged(str(path), f"was written by another version ({error})") from error
