"""A trial of a run's documents, before the first of them is written: MongoDB itself says which it would refuse.

Only MongoDB knows its collations and its validators. A temporary collection with the rules of the target takes the
documents first; where the target has no rules of its own, there is nothing to try. `swap` fills such a collection
anyway.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import bson
from pymongo import InsertOne, WriteConcern
from pymongo.collation import Collation
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.batches import Batch, batches
from airflow_fanout.mongo.errors import DocumentRefused, KeysMeet
from airflow_fanout.mongo.explain import DUPLICATE_KEY, VALIDATION, refusal
from airflow_fanout.mongo.index import make_index
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.retrying import passes
from airflow_fanout.mongo.side_by_side import side_by_side
from airflow_fanout.mongo.spool import Stored, joined
from airflow_fanout.mongo.target import UNAUTHORIZED, Index, Target, collation_of, keys_of
from airflow_fanout.mongo.temporary import create, is_own, temporary
from airflow_fanout.privacy.quoting import field_name

if TYPE_CHECKING:
    from pymongo.collection import Collection

Refusal = Mapping[str, Any]

log = logging.getLogger(__name__)
# What is only tried need not be safe.
FAST = WriteConcern(1)
# They say for how long and in which form documents are kept, not which ones are taken.
KEEPING = ("expireAfterSeconds", "changeStreamPreAndPostImages", "storageEngine", "clusteredIndex")
# Kinds of index that refuse values: a place off the globe, a language that isn't known, a list.
REFUSING_KINDS = ("2dsphere", "2d", "text", "hashed", "geoHaystack")

# Without the other document's name the message is shorter.
LOOK_LIMIT_MS = 30_000


def try_out(loading: Loading, *, replaces: bool) -> None:
    """Let MongoDB judge the documents if the target has rules that could refuse one.

    :param replaces: whether documents will be written over old ones, and not into a new collection.
    :raises KeysMeet: when two of them are one to the collection's collation or to one of its unique indexes.
    :raises DocumentRefused: when its validator or an index wouldn't take one.
    """
    target, key = loading.target, loading.documents.key
    whole = _needs_whole_documents(target, key)
    # To a collation, or to another unique index, two different keys may be one.
    may_meet = target.collation is not None or any(True for _ in _refusing(target, key))
    if not whole and not may_meet:
        return
    try:
        with temporary(loading) as (scratch, lease):
            _try(loading, scratch.with_options(write_concern=FAST), lease.keep, whole=whole, replaces=replaces)
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        log.warning(
            "%s has rules of its own (a validator, a collation or a unique index), and the user of the connection may "
            "not make a collection to try the documents out before the first is written. Grant readWrite on %s. Load "
            "goes on: what MongoDB refuses is an error then.",
            loading.collection.full_name,
            target.database,
        )


def _needs_whole_documents(target: Target, key: Sequence[str]) -> bool:
    """Tell whether a target could refuse a document for something else than its key."""
    options = target.options
    validates = options.get("validator") and options.get("validationAction") != "warn"
    if validates and options.get("validationLevel") != "off":
        return True
    # An index may look at other fields than the key's, also by its filter.
    return any(
        "partialFilterExpression" in index or not {name for name, _ in keys_of(index)}.issubset(key)
        for index in _refusing(target, key)
    )


def _refusing(target: Target, key: Sequence[str]) -> Iterator[Index]:
    """Yield the indexes that could refuse a document whose key is a new one."""
    for index in target.indexes:
        fields = {name for name, _ in keys_of(index)}
        tells_keys_apart = set(key) <= fields and collation_of(index) == target.collation
        is_unique = index.get("unique") and not is_own(index) and not tells_keys_apart
        if is_unique or any(kind in REFUSING_KINDS for _, kind in keys_of(index)):
            yield index


def _try(loading: Loading, scratch: Collection[Any], keep: Callable[[], None], *, whole: bool, replaces: bool) -> None:
    rules = _rules(loading.target, scratch.name, loading.documents.key, whole=whole)
    create(scratch, rules.options, rules.indexes, loading.retrying)
    make_index(scratch, rules, loading.documents.key, loading.retrying)
    loading.work.begin("Trying the documents out", loading.documents.count)

    def send(numbered: tuple[int, Batch]) -> tuple[int, Batch, list[Refusal]]:
        first, batch = numbered
        return first, batch, loading.retrying.run(lambda: _refused(scratch, first, batch, whole=whole))

    for first, batch, refused in side_by_side(_numbered(batches(loading.documents.pairs())), send, keep):
        if refused := [error for error in refused if not (replaces and _is_let_through(loading, batch, error))]:
            raise _told(loading, scratch, first, batch, refused)
        loading.work.add(len(batch))


def _rules(target: Target, name: str, key: Sequence[str], *, whole: bool) -> Target:
    """Return what a collection is like that refuses what the target refuses, and keeps nothing longer or shorter."""
    options = {option: value for option, value in target.options.items() if option not in KEEPING}
    indexes = [
        {option: value for option, value in index.items() if option not in KEEPING} for index in _refusing(target, key)
    ]
    return Target(
        database=target.database,
        name=name,
        options=options if whole else {option: options[option] for option in options if option == "collation"},
        indexes=indexes,
    )


def _numbered(batches: Iterable[Batch]) -> Iterator[tuple[int, Batch]]:
    first = 0
    for batch in batches:
        yield first, batch
        first += len(batch)


def _refused(scratch: Collection[Any], first: int, batch: Batch, *, whole: bool) -> list[Refusal]:
    """Return what MongoDB says of the documents that it doesn't take.

    Each has its number as its `_id`: what an earlier attempt has inserted, whose answer was lost, is known by that.
    """
    # An ObjectId that is a number, before the other fields: what MongoDB would do with one of its own.
    stored = (
        joined(b"\0\0\0\0\x07_id\0" + number.to_bytes(12, "big") + b"\0", (document if whole else key).raw)
        for number, (key, document) in enumerate(batch, first)
    )
    writes = [InsertOne(Stored(raw)) for raw in stored]
    try:
        scratch.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        if passes(error):
            raise
        errors: list[Refusal] = (error.details or {}).get("writeErrors", [])
        return [error for error in errors if list(error.get("keyPattern", ())) != ["_id"]]
    return []


def _is_let_through(loading: Loading, batch: Batch, error: Refusal) -> bool:
    """Tell whether the target would take a document because the one that it replaces is no better."""
    options = loading.target.options
    if error["code"] != VALIDATION or options.get("validationLevel") != "moderate":
        return False
    key = bson.decode(batch[error["index"]][0].raw)
    old = {"$and": [key, {"$nor": [options["validator"]]}]}
    return loading.retrying.run(lambda: loading.collection.find_one(old, {"_id": True})) is not None


def _told(loading: Loading, scratch: Collection[Any], first: int, batch: Batch, refused: list[Refusal]) -> FanoutError:
    error = refused[0]
    number = first + error["index"]
    document = bson.decode(batch[error["index"]][1].raw)
    if error["code"] == DUPLICATE_KEY:
        return _keys_meet(loading, scratch, error, number, document)
    return DocumentRefused(
        loading.collection.full_name,
        len(refused),
        first + len(batch),
        loading.documents.origin(number),
        refusal(error, document),
    )


def _keys_meet(
    loading: Loading, scratch: Collection[Any], error: Refusal, number: int, document: Mapping[str, Any]
) -> KeysMeet:
    """Return the error of a document that has met another one at a unique index: which two, and by what."""
    there: list[Index] = loading.retrying.run(lambda: [dict(index) for index in scratch.list_indexes()])
    unnamed: Index = {"name": "", "key": dict(error.get("keyPattern", {}))}
    index = next((index for index in there if f" index: {index['name']} " in str(error["errmsg"])), unnamed)
    other = _other(scratch, index, document)
    # Two batches are under way at once: which of the two documents was refused is by chance.
    numbers = sorted({number, number if other is None else other})
    names = [*(loading.documents.origin(number) for number in numbers), "another one"]
    fields = [name for name, _ in keys_of(index)]
    is_key = fields == list(loading.documents.key)
    what = "keys" if is_key else f"values of {' + '.join(map(field_name, fields))}"
    rule = collation_of(index)
    by = f" by its collation (locale {rule['locale']}, strength {rule['strength']})" if rule else ""
    why = f"To the unique index {index['name']!r} their {what} are the same{by}"
    return KeysMeet(loading.collection.full_name, names[0], names[1], why)


def _other(scratch: Collection[Any], index: Index, document: Mapping[str, Any]) -> int | None:
    """Return the number of the document that has the same values in an index; `None` if it isn't found by these."""
    values = {name: document.get(name) for name, _ in keys_of(index)}
    rule = collation_of(index) or {"locale": "simple"}
    try:
        held = scratch.find_one(values, {"_id": True}, collation=Collation(**rule), max_time_ms=LOOK_LIMIT_MS)
    except (PyMongoError, TypeError):
        return None
    return int.from_bytes(held["_id"].binary, "big") if held is not None else None
