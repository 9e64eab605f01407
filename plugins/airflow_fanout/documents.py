"""Results as documents: made, checked and encoded, all of them, before the first is written."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO, Any

import bson
from bson.raw_bson import RawBSONDocument

from airflow_fanout import parameter
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadDocument, BadSetting
from airflow_fanout.masking import mask, scrub
from airflow_fanout.outcome import Kind, Record
from airflow_fanout.staging.seen import Seen

# https://www.mongodb.com/docs/manual/reference/limits/, less the `_id` that the server adds.
LARGEST_BYTES = 16 * 1024 * 1024 - 17
DEEPEST = 100
ORIGIN_BYTES = 8

# As a key's value, MongoDB reads these as a query or as several keys.
_NO_KEYS = (Mapping, list, tuple, re.Pattern, bson.Regex)
# Of these, equal values have equal bytes: what most keys are is known without a closer look.
_PLAIN_KEYS = frozenset({str, int, bool, bytes, datetime, bson.ObjectId})
_NESTED = (dict, list, tuple)

DocumentOf = Callable[[Json, Json], Mapping[str, Any] | Iterable[Mapping[str, Any]] | None]
# What pymongo's messages quote of a document, which is personal data.
_VALUES = re.compile(r"(?s)(?<=object): .*(?=, of type)|, doc:.*")


class Stored(RawBSONDocument):
    """A document that is BSON already, and is sent as it is."""

    __slots__ = ()

    def __bool__(self) -> bool:
        # The driver asks this of every replacement; without an answer it decodes the document to count its fields.
        return True


def parameter_and_result(value: Json, result: Json) -> dict[str, Any]:
    """Return the document that a report gets without a function of its own: the parameter's fields, and `result`."""
    fields = value if isinstance(value, dict) else {"parameter": value}
    return {**fields, "result": result}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a report's documents are made and told apart.

    :param key: the fields that tell one document of a run from another.
    :param as_of: the run's one date, which each document gets.
    :param as_of_field: the name of the field for it.
    :param document: makes zero, one or several documents of a parameter and its result.
    """

    key: tuple[str, ...]
    as_of: datetime
    as_of_field: str = "as_of"
    document: DocumentOf

    def __post_init__(self) -> None:
        for field, name in (("as_of_field", self.as_of_field), *(("key", name) for name in self.key)):
            if name == "_id" or not name.isidentifier():
                raise BadSetting(field, name, "a field's name, such as 'tel'; `_id` is MongoDB's own")

    @property
    def whole_key(self) -> tuple[str, ...]:
        """The fields that find one document of the collection, the date first."""
        return (self.as_of_field, *self.key)


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """All documents of a run, on disk, and what tells them apart."""

    shape: Shape
    count: int
    spool: IO[bytes]
    origins: IO[bytes]
    seen: Seen

    @property
    def key(self) -> tuple[str, ...]:
        """The fields that find one document of the collection, the date first."""
        return self.shape.whole_key

    @property
    def date(self) -> dict[str, datetime]:
        """The filter that finds all documents of the run's date."""
        return {self.shape.as_of_field: self.shape.as_of}

    def pairs(self) -> Iterator[tuple[Stored, Stored]]:
        """Yield filter and document of each document."""
        return decode(self.spool)

    def keys(self) -> Iterator[bytes]:
        """Yield the filter of each document as BSON."""
        return keys(self.spool)

    def origin(self, number: int) -> str:
        """Return which parameter a document is of, counted from 0, and its key, masked."""
        index = int.from_bytes(os.pread(self.origins.fileno(), ORIGIN_BYTES, ORIGIN_BYTES * number), "little")
        key = bson.decode(next(islice(self.keys(), number, None)))
        return f"parameter {index} ({', '.join(f'{name}: {mask(str(key[name]))}' for name in self.shape.key)})"

    def holds(self, document: Mapping[str, Any]) -> bool:
        """Tell whether one of the documents has the key of this one, which is as MongoDB gives it."""
        key = {name: document.get(name) for name in self.key}
        return _identity(key, bson.encode(key)) in self.seen


@contextmanager
def encoded(records: Iterable[Record], shape: Shape) -> Iterator[Encoded]:
    """Make, check and encode the documents of all good records, in temporary files.

    :raises BadDocument: for the first that lacks a key field, has a key twice, or that BSON can't hold.
    """
    with (
        tempfile.TemporaryFile(prefix="fanout-") as spool,
        tempfile.TemporaryFile(prefix="fanout-") as origins,
        Seen() as seen,
    ):
        count = _encode(records, shape, spool, origins, seen)
        yield Encoded(shape=shape, count=count, spool=spool, origins=origins, seen=seen)


def _encode(records: Iterable[Record], shape: Shape, spool: IO[bytes], origins: IO[bytes], seen: Seen) -> int:
    """Write each document after the filter that finds it, and which parameter it is of; return their number."""
    count = 0
    for record in records:
        if record.kind is Kind.OK:
            for found in _made(record, shape):
                key, document = _checked(record, found, shape)
                filtered = _bson(record, key)
                if not seen.add(_identity(key, filtered)):
                    raise _bad(record, f"another document of this run has the same {' + '.join(shape.key)}")
                spool.write(filtered)
                spool.write(document)
                origins.write(record.index.to_bytes(ORIGIN_BYTES, "little"))
                count += 1
    spool.flush()
    origins.flush()
    return count


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


def _made(record: Record, shape: Shape) -> Iterable[Mapping[str, Any]]:
    try:
        found = shape.document(record.parameter, record.result)
        if type(found) is dict:
            return [found]
        documents = [] if found is None else [found] if isinstance(found, Mapping) else list(found)
    except Exception as error:  # the author's function may raise anything
        said = scrub(str(error), record.parameter)
        raise _bad(record, f"the report's function raised {type(error).__name__}: {said}") from error
    for document in documents:
        if not isinstance(document, Mapping):
            raise _bad(record, f"the report's function gave a {type(document).__name__}; a document is a dict")
    return documents


def _checked(record: Record, found: Mapping[str, Any], shape: Shape) -> tuple[dict[str, Any], bytes]:
    document = _with_key(record, dict(found), shape)
    encoded = _bson(record, document)
    # Whatever is nested is marked by one of these bytes: most documents have too few of them for any depth.
    if encoded.count(b"\3") + encoded.count(b"\4") >= DEEPEST and _depth(document) > DEEPEST:
        raise _too_deep(record)
    if len(encoded) > LARGEST_BYTES:
        raise _bad(record, f"it has {len(encoded):,} bytes, and MongoDB allows {LARGEST_BYTES:,}; make several of it")
    return {name: document[name] for name in shape.whole_key}, encoded


def _identity(key: Mapping[str, Any], encoded: bytes) -> bytes:
    if _PLAIN_KEYS.issuperset(map(type, key.values())):
        return encoded
    # MongoDB holds 1 and 1.0 for the same key.
    return bson.encode({name: _whole(value) for name, value in bson.decode(encoded).items()})


def _whole(value: Any) -> Any:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
    return int(value) if whole or type(value) is bson.Int64 else value


def _with_key(record: Record, document: dict[str, Any], shape: Shape) -> dict[str, Any]:
    if document.setdefault(shape.as_of_field, shape.as_of) != shape.as_of:
        raise _bad(record, f"its field {shape.as_of_field!r} isn't the run's date; name another by `as_of_field`")
    if "_id" in document:
        raise _bad(record, "it has an `_id`, and documents are found by their key; leave it out")
    for name in document:
        if not isinstance(name, str) or name.startswith("$"):
            raise _bad(record, f"its field {name!r} is no name that MongoDB takes")
    fields = parameter.fields(record.parameter)
    for name in shape.key:
        value = document.get(name, fields.get(name))
        if value is None:
            raise _bad(record, f"it has no key field {name!r}; it has: {', '.join(map(str, document))}")
        if type(value) not in _PLAIN_KEYS and isinstance(value, _NO_KEYS):
            kind = type(value).__name__
            raise _bad(record, f"its key field {name!r} is a {kind}; a key is a text, a number or a date")
        document[name] = value
    return document


def _bson(record: Record, document: dict[str, Any]) -> bytes:
    try:
        return bson.encode(document)
    except RecursionError as error:
        raise _too_deep(record) from error
    except (bson.errors.BSONError, OverflowError, ValueError, TypeError) as error:
        raise _bad(record, _culprit(document) or str(error)) from error


def _culprit(document: dict[str, Any]) -> str | None:
    for name, value in document.items():
        try:
            bson.encode({name: value})
        except (bson.errors.BSONError, OverflowError, ValueError, TypeError, RecursionError) as error:
            return f"its field {name!r} can't be stored: {_VALUES.sub('', str(error))}"
    return None


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level and depth <= DEEPEST:  # a value that holds itself has no end
        depth += 1
        level = [part for value in level for part in _parts(value) if isinstance(part, _NESTED)]
    return depth


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _too_deep(record: Record) -> BadDocument:
    return _bad(record, f"it is nested more than the {DEEPEST} levels deep that MongoDB allows")


def _bad(record: Record, problem: str) -> BadDocument:
    return BadDocument(record.index, mask(record.parameter), problem)
