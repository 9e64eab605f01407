"""Results as documents: made, checked and encoded, all of them, before the first is written."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from traceback import extract_tb
from typing import IO, Any, TypeVar

import bson
import msgspec

from airflow_fanout.masking import mask
from airflow_fanout.model import parameter
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.mongo.conversion import Conversion, NotConverted
from airflow_fanout.mongo.errors import BadDocument
from airflow_fanout.mongo.identity import PLAIN_KEYS, identity
from airflow_fanout.mongo.shape import Shape
from airflow_fanout.mongo.spool import Stored, next_of
from airflow_fanout.mongo.storable import Unstorable, bson_of
from airflow_fanout.privacy.quoting import HIDDEN, field_name, quoted
from airflow_fanout.staging.seen import Seen
from airflow_fanout.staging.temporary import temporary_file

Form = TypeVar("Form")

log = logging.getLogger(__name__)
ORIGIN_BYTES = 8

# As a key's value, MongoDB reads these as a query or as several keys.
_NO_KEYS = (Mapping, list, tuple, re.Pattern, bson.Regex)
_NAMELESS = '; with names=("tel",) in ExtractOperator, a parameter is a dict'


class Encoded(msgspec.Struct, frozen=True, kw_only=True):
    """All documents of a run, on disk, and what tells them apart.

    :param fingerprint: the sum of the hashes of all keys as BSON, by this process's own hash function.
    """

    shape: Shape
    count: int
    fingerprint: int
    spool: IO[bytes]
    origins: IO[bytes]
    seen: Seen

    @property
    def key(self) -> tuple[str, ...]:
        """The fields that find one document of the collection: the date first, if it is part of the key."""
        return self.shape.whole_key

    @property
    def date(self) -> dict[str, datetime]:
        """The filter for all documents of the run's date; for all documents at all, if the key has no date."""
        return {} if self.shape.as_of_field is None else {self.shape.as_of_field: self.shape.as_of}

    @property
    def newer(self) -> dict[str, Any] | None:
        """The filter for documents of later runs, which these must not replace; `None` if the key has the date."""
        return {self.shape.date_field: {"$gt": self.shape.as_of}} if self.shape.as_of_field is None else None

    def pairs(self) -> Iterator[tuple[Stored, Stored]]:
        """Yield filter and document of each document, without decoding them."""
        self.spool.seek(0)
        while key := next_of(self.spool):
            yield Stored(key), Stored(next_of(self.spool))

    def keys(self) -> Iterator[bytes]:
        """Yield the filter of each document as BSON."""
        self.spool.seek(0)
        while key := next_of(self.spool):
            yield key
            next_of(self.spool)

    def origin(self, number: int) -> str:
        """Return which parameter a document is of, and its key, masked.

        :param number: the document's own, in the order in which they were made, counted from 0.
        """
        index = int.from_bytes(os.pread(self.origins.fileno(), ORIGIN_BYTES, ORIGIN_BYTES * number), "little")
        key = bson.decode(next(islice(self.keys(), number, None)))
        return f"parameter {index} ({', '.join(f'{name}: {mask(str(key[name]))}' for name in self.shape.key)})"

    def holds(self, document: Mapping[str, Any]) -> bool:
        """Tell whether one of the documents has the key of this one, which is as MongoDB gives it."""
        key = {name: document.get(name) for name in self.key}
        return identity(key, bson.encode(key)) in self.seen


@contextmanager
def encoded(records: Iterable[Record], shape: Shape) -> Iterator[Encoded]:
    """Make, check and encode the documents of all good records, in temporary files.

    :raises BadDocument: for the first that lacks a key field, has a key twice, or that BSON can't hold.
    """
    with temporary_file() as spool, temporary_file() as origins, Seen() as seen:
        count, fingerprint = _encode(records, shape, spool, origins, seen)
        yield Encoded(shape=shape, count=count, fingerprint=fingerprint, spool=spool, origins=origins, seen=seen)


def _encode(
    records: Iterable[Record], shape: Shape, spool: IO[bytes], origins: IO[bytes], seen: Seen
) -> tuple[int, int]:
    """Write each document after the filter that finds it, and which parameter it is of.

    Return the number of documents and the fingerprint of their keys.
    """
    convert = Conversion(shape.types) if shape.types else None
    count = fingerprint = 0
    for record in records:
        if record.kind is not Kind.OK:
            continue
        for found in _made(record, shape):
            document = _with_key(record, dict(found), shape)
            if convert is not None:
                document = _or_bad(record, convert, document)
            key = {name: document[name] for name in shape.whole_key}
            raw, filtered = _or_bad(record, bson_of, document), _or_bad(record, bson_of, key)
            if not seen.add(identity(key, filtered)):
                raise _bad(record, f"another document of this run has the same {' + '.join(shape.key)}")
            spool.write(filtered)
            spool.write(raw)
            origins.write(record.index.to_bytes(ORIGIN_BYTES, "little"))
            count += 1
            fingerprint += hash(filtered)
    if convert is not None and convert.unseen and count:
        names = ", ".join(map(".".join, convert.unseen))
        log.warning("`types` names %s, and none of the %s documents has it: is the name right?", names, f"{count:,}")
    spool.flush()
    origins.flush()
    return count, fingerprint


def _made(record: Record, shape: Shape) -> Iterable[Mapping[str, Any]]:
    try:
        found = shape.document(record.parameter, record.result)
        if type(found) is dict:
            return [found]
        documents = [] if found is None else [found] if isinstance(found, Mapping) else list(found)
        strange = [one for one in documents if not isinstance(one, Mapping)]
        if not strange:
            return [dict(one) for one in documents]
        why = f"the report's function gave a {type(strange[0]).__name__}; a document is a dict"
    except Exception as error:  # noqa: BLE001 - the author's function may raise anything
        why = _raised(error, record)
    # Outside of `except`: what the function has raised may hold the parameter, and would be logged with this.
    raise _bad(record, why)


def _raised(error: Exception, record: Record) -> str:
    """Return what an author's function has raised, and where, without a word of parameter and result."""
    frames = extract_tb(error.__traceback__)[1:]
    # What it calls may raise deeper down; the place to look at is in the author's own file.
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    place = f" in {own[-1].name}, {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""
    words = quoted(str(error), (record.parameter, record.result))
    hint = ""
    if isinstance(error, TypeError | KeyError | AttributeError | IndexError):
        kinds = f"its parameter is a {type(record.parameter).__name__}, its result a {type(record.result).__name__}"
        hint = f" ({kinds}{'' if isinstance(record.parameter, dict) else _NAMELESS})"
    return f"the report's function raised {type(error).__name__}{place}: {words}{hint}"


def _with_key(record: Record, document: dict[str, Any], shape: Shape) -> dict[str, Any]:
    if document.setdefault(shape.date_field, shape.as_of) != shape.as_of:
        way_out = "name another by `as_of_field`" if shape.as_of_field else "load keeps that date there: rename yours"
        raise _bad(record, f"its field {shape.date_field!r} isn't the run's date; {way_out}")
    if "_id" in document:
        raise _bad(record, "it has an `_id`, and documents are found by their key; leave it out")
    for name in document:
        if not isinstance(name, str) or name.startswith("$"):
            is_hidden = field_name(str(name).lstrip("$")) == HIDDEN
            shown = f"(a {type(name).__name__})" if is_hidden else repr(name)
            raise _bad(record, f"its field {shown} is no name that MongoDB takes: names are texts without a $")
    fields = parameter.fields(record.parameter)
    for name in shape.key:
        value = document.get(name, fields.get(name))
        if value is None:
            has = ", ".join(map(field_name, document))
            hint = "" if isinstance(record.parameter, dict) else _NAMELESS
            raise _bad(record, f"it has no key field {name!r}; it has: {has}{hint}")
        if type(value) not in PLAIN_KEYS and isinstance(value, _NO_KEYS):
            kind = type(value).__name__
            raise _bad(record, f"its key field {name!r} is a {kind}; a key is a text, a number or a date")
        document[name] = value
    return document


def _or_bad(record: Record, step: Callable[[dict[str, Any]], Form], document: dict[str, Any]) -> Form:
    """Return what a step makes of a document; raise `BadDocument` if it can't."""
    try:
        return step(document)
    except (NotConverted, Unstorable) as error:
        why = error.problem
    # Outside of `except`, so that nothing of what was raised is logged with it.
    raise _bad(record, why)


def _bad(record: Record, problem: str) -> BadDocument:
    return BadDocument(record.index, mask(record.parameter), problem)
