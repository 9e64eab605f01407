"""What MongoDB can store: a document as BSON, or a sentence on the value that stands in the way."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from typing import Any

import bson

from airflow_fanout.privacy.quoting import field_name

# https://www.mongodb.com/docs/manual/reference/limits/, less the `_id` that the server adds.
LARGEST_BYTES = 16 * 1024 * 1024 - 17
DEEPEST = 100
# 64 bits.
LEAST, GREATEST = -(2**63), 2**63 - 1

_NESTED = (dict, list, tuple)
_NOT_BSON = (bson.errors.BSONError, OverflowError, ValueError, TypeError, RecursionError)
# A value's type, and what to write instead; the first that fits.
HINTS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (dt.datetime, "it is before the year 1 or after the year 9999 in UTC"),
    (dt.date, "a date without a time: use datetime(…, tzinfo=UTC), or .isoformat() for a text"),
    (dt.time, "use .isoformat() for a text"),
    (dt.timedelta, "use .total_seconds()"),
    (decimal.Decimal, "use bson.Decimal128(value), or str(value)"),
    (enum.Enum, "use .value"),
    (uuid.UUID, "use str(value), or bson.Binary.from_uuid(value)"),
    ((set, frozenset), "use sorted(value), or list(value)"),
    (pathlib.PurePath, "use str(value)"),
    (complex, "MongoDB has no such number"),
    (int, "it has more than 64 bits: use str(value), or bson.Decimal128"),
    (str, "it holds half of a surrogate pair, which isn't UTF-8"),
)


@dataclass(frozen=True)
class Unstorable(Exception):
    """A document that MongoDB wouldn't take; nothing of its values is in the message."""

    problem: str

    def __str__(self) -> str:
        return self.problem


def bson_of(document: Mapping[str, Any]) -> bytes:
    """Return a document as BSON.

    :raises Unstorable: when BSON can't hold it, or MongoDB wouldn't for its size or depth.
    """
    try:
        encoded = bson.encode(document)
    except _NOT_BSON:
        encoded = None
    # Whatever is nested is marked by one of these bytes: most documents have too few of them for any depth.
    may_be_deep = encoded is None or encoded.count(b"\3") + encoded.count(b"\4") >= DEEPEST
    if may_be_deep and depth(document) > DEEPEST:
        raise Unstorable(f"it is nested more than the {DEEPEST} levels deep that MongoDB allows")
    if encoded is None:
        path, value = _culprit("", document)
        raise Unstorable(f"its field {path!r} can't be stored: {explain(value)}")
    if len(encoded) > LARGEST_BYTES:
        raise Unstorable(f"it has {len(encoded):,} bytes, and MongoDB allows {LARGEST_BYTES:,}; make several of it")
    return encoded


def depth(document: Any) -> int:
    """Return how many levels a document has; one that holds itself has more than are allowed."""
    levels, level = 0, [document]
    while level and levels <= DEEPEST:
        levels += 1
        level = [part for value in level for _, part in _parts(value) if isinstance(part, _NESTED)]
    return levels


def _culprit(path: str, value: Any) -> tuple[str, Any]:
    """Return the innermost value that can't be encoded, and where it is."""
    for name, part in _parts(value):
        is_name = (isinstance(name, str) and "\0" not in name) or type(name) is _ListIndex
        try:
            bson.encode({name if isinstance(name, str) else "x": part})
            fits = is_name
        except _NOT_BSON:
            fits = False
        if not fits:
            below = f"[{name}]" if isinstance(value, list | tuple) else field_name(name)
            inner = f"{path}{below}" if below.startswith("[") or not path else f"{path}.{below}"
            return _culprit(inner, part) if is_name else (inner, name)
    return path, value


class _ListIndex(int):
    """An index of a list, where a dict has a name."""


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from ((_ListIndex(place), part) for place, part in enumerate(value))


def explain(value: Any) -> str:
    """Return why a value can't be stored: its type, and what to write instead."""
    name = type(value).__name__
    if isinstance(value, str) and "\0" in value:
        return "the name of a field can't hold a NUL character"
    if isinstance(value, int) and LEAST <= value <= GREATEST:
        return f"the name of a field is a {name}, and MongoDB wants texts: use str(name)"
    for kinds, hint in HINTS:
        if isinstance(value, kinds):
            return f"it is a {name}; {hint}"
    return f"it is a {name}, which BSON doesn't know; {_of_a_stranger(value)}"


def _of_a_stranger(value: Any) -> str:
    if hasattr(value, "json") and hasattr(value, "status_code"):
        return "use .json(), or .text"
    if is_dataclass(value):
        return "use dataclasses.asdict(value)"
    if hasattr(value, "model_dump"):
        return "use .model_dump()"
    if hasattr(value, "tolist"):
        return "use .tolist(), or .item()"
    if callable(value):
        return "call it"
    return "make it a text, a number, a date, a dict or a list"
