"""Encoded documents on disk, each after the filter that finds it."""

from __future__ import annotations

from typing import IO

from bson.raw_bson import RawBSONDocument


class Stored(RawBSONDocument):
    """A document that is BSON already, and is sent as it is."""

    __slots__ = ()

    def __bool__(self) -> bool:
        # The driver asks this of every replacement; without an answer it decodes the document to count its fields.
        return True


def next_of(spool: IO[bytes]) -> bytes:
    """Return the next filter or document in a spool; nothing at its end."""
    # https://bsonspec.org: a document begins with its length, itself included.
    length = spool.read(4)
    return length + spool.read(int.from_bytes(length, "little") - 4) if length else b""
