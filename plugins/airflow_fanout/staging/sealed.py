"""Small JSON files that show when they were changed: each holds a digest of all else in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_fanout import codec
from airflow_fanout.staging.errors import StagingChanged
from airflow_fanout.staging.files import read_json, write_whole

SEAL = "seal"


def seal_of(fields: Mapping[str, Any]) -> str:
    """Return the digest of a file's fields, the same in whichever order they are."""
    return hashlib.sha256(codec.canonical(fields)).hexdigest()[:32]


def write_sealed(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a file with its seal."""
    write_whole(path, codec.encode({**fields, SEAL: seal_of(fields)}))


def read_sealed(path: Path, *, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a file's fields; `missing` if there is no such file.

    :raises StagingLost: when it isn't JSON, or isn't there and there is no `missing`.
    :raises StagingChanged: when it isn't what was sealed.
    """
    found = read_json(path, missing=missing)
    if missing is not None and found is missing:
        return missing
    if not isinstance(found, dict) or found.pop(SEAL, None) != seal_of(found):
        raise StagingChanged(str(path), "was changed after it was written")
    return found
