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


def joined(first: bytes | memoryview, second: bytes | memoryview) -> bytes:
    """Return the BSON document that has the fields of two, without decoding them."""
    # https://bsonspec.org: the length of it all, then the elements, then a zero.
    elements = bytes(first[4:-1]) + bytes(second[4:-1])
    return (len(elements) + 5).to_bytes(4, "little") + elements + b"\0"


def next_of(spool: IO[bytes]) -> bytes:
    """Return the next filter or document in a spool; nothing at its end."""
    # https://bsonspec.org: a document begins with its length, itself included.
    length = spool.read(4)
    return length + spool.read(int.from_bytes(length, "little") - 4) if length else b""
