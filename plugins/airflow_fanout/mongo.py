"""Documents into a MongoDB collection: safe to repeat, verified by count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

from airflow_fanout import documents
from airflow_fanout.errors import CountMismatch, MongoFailed, WriteRefused

if TYPE_CHECKING:
    from pymongo.collection import Collection

BATCH = 1000
# A thousand documents of the largest size would take 16 GB of memory.
BATCH_BYTES = 32 << 20

Pair = tuple[RawBSONDocument, RawBSONDocument]


class Written(NamedTuple):
    """What a load has done: documents that are new, and documents that were there and have been replaced."""

    inserted: int
    replaced: int


def upsert(collection: Collection[Any], spool: IO[bytes], *, key: tuple[str, ...], count: int) -> Written:
    """Write the documents of a spool, each over the one with the same key, if there is one.

    :param key: the key's fields, the run's date first; a unique index on them is made if there is none.
    :param count: how many documents the spool has.
    :raises CountMismatch: when MongoDB confirms another number.
    :raises WriteRefused: when it refuses a document.
    :raises MongoFailed: when it can't be reached or refuses the operation.
    """
    try:
        _make_index(collection, key)
        written = _write_all(collection, documents.decode(spool))
    except BulkWriteError as error:
        raise _refused(collection, error) from error
    except PyMongoError as error:
        raise MongoFailed(collection.full_name, type(error).__name__, str(error)) from error
    if sum(written) != count:
        raise CountMismatch(collection.full_name, count, sum(written))
    return written


def _make_index(collection: Collection[Any], key: tuple[str, ...]) -> None:
    try:
        collection.create_index([(name, ASCENDING) for name in key], unique=True)
    except DuplicateKeyError as error:
        raise _no_index(collection, key, "it holds several documents with the same key") from error
    except OperationFailure as error:
        raise _no_index(collection, key, str(error.details.get("errmsg") if error.details else error)) from error


def _no_index(collection: Collection[Any], key: tuple[str, ...], why: str) -> MongoFailed:
    return MongoFailed(collection.full_name, "no unique index", f"on {' + '.join(key)}: {why}")


def _write_all(collection: Collection[Any], pairs: Iterator[Pair]) -> Written:
    inserted = replaced = 0
    for batch in _batches(pairs):
        result = collection.bulk_write(batch, ordered=False)
        inserted += result.upserted_count
        replaced += result.matched_count
    return Written(inserted, replaced)


def _batches(pairs: Iterator[Pair]) -> Iterator[list[ReplaceOne[Any]]]:
    batch: list[ReplaceOne[Any]] = []
    size = 0
    for key, document in pairs:
        batch.append(ReplaceOne(key, document, upsert=True))
        size += len(document.raw)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _refused(collection: Collection[Any], error: BulkWriteError) -> WriteRefused:
    found: list[dict[str, Any]] = list((error.details or {}).get("writeErrors", []))
    first: dict[str, Any] = found[0] if found else {"code": error.code or 0, "errmsg": str(error)}
    # The server's message ends with the document's own values after "dup key:".
    message = str(first["errmsg"]).split(" dup key:")[0]
    return WriteRefused(collection.full_name, len(found), int(first["code"]), message)
