"""What validate has passed: load takes exactly that, and nothing if any of it has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.errors import StagingChanged
from airflow_fanout.staging.sealed import read_sealed

# A part's name below its generation, the bytes of it that were judged, and their SHA-256.
JudgedPart = tuple[str, int, str]


class Validated(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account of a validation that was passed.

    :param list_id: the id of the frozen list.
    :param generations: the generation of each shard.
    :param parts: the files of each shard's generation that were judged, in the order in which they were read.
    :param kinds: how many parameters have which outcome.
    :param left_out: how many have no good outcome, and are to be asked for by a later run.
    """

    list_id: str
    generations: Mapping[str, int]
    parts: Mapping[str, Sequence[JudgedPart]]
    kinds: Mapping[str, int]
    left_out: int = 0


def unmark_validated(directory: ListDirectory) -> None:
    """Forget that a validation was passed."""
    with suppress(FileNotFoundError):
        directory.validated.delete()


def read_validated(directory: ListDirectory, list_id: str) -> Validated | None:
    """Return what has passed validation last; `None` if nothing has.

    :raises StagingChanged: when the account was changed, or is of another list.
    """
    passed = read_sealed(directory.validated, Validated)
    if passed is not None and passed.list_id != list_id:
        raise StagingChanged(str(directory.validated), "belongs to another list")
    return passed
