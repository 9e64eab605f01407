"""Encoded documents on disk, each after the filter that finds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from bson.raw_bson import RawBSONDocument


class Stored(RawBSONDocument):
    """A document that is BSON already, and is sent as it is."""

    __slots__ = ()

    def __bool__(self) -> bool:
        # The driver asks this of every replacement; without an answer it decodes the document to count its fields.
        return True


def decode(spool: IO[bytes]) -> Iterator[tuple[Stored, Stored]]:
    """Yield filter and document of each document in a spool, without decoding them."""
    spool.seek(0)
    while key := _next(spool):
        yield Stored(key), Stored(_next(spool))


def keys(spool: IO[bytes]) -> Iterator[bytes]:
    """Yield the filter of each document in a spool."""
    spool.seek(0)
    while key := _next(spool):
        yield key
        _next(spool)


def _next(spool: IO[bytes]) -> bytes:
    # https://bsonspec.org: a document begins with its length, itself included.
    length = spool.read(4)
    return length + spool.read(int.from_bytes(length, "little") - 4) if length else b""
