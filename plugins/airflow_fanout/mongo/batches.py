"""Documents in batches, each over the one with the same key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bson.raw_bson import RawBSONDocument
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from airflow_fanout.documents import Encoded
from airflow_fanout.errors import CountMismatch
from airflow_fanout.mongo.index import make_index
from airflow_fanout.mongo.patience import DUPLICATE_KEY, Patience, codes_of
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

BATCH = 1000
# A thousand documents of the largest size would take 16 GB of memory.
BATCH_BYTES = 32 << 20

Pair = tuple[RawBSONDocument, RawBSONDocument]
Batch = list[ReplaceOne[Any]]


def upsert(collection: Collection[Any], made: Encoded, _run: str, patience: Patience) -> Written:
    """Write the documents, and leave all others as they are."""
    make_index(collection, made.key, patience)
    return write_all(collection, made, patience)


def write_all(
    collection: Collection[Any], made: Encoded, patience: Patience, *, before_each: Callable[[], None] | None = None
) -> Written:
    """Write all documents in batches; a batch that is broken off is sent again, which changes nothing.

    :param before_each: called before each batch.
    :raises CountMismatch: when MongoDB confirms another number.
    """
    inserted = replaced = 0
    for batch in batches(made.pairs()):
        if before_each:
            before_each()
        new, old = patience.insist(partial(_send, collection, batch))
        inserted += new
        replaced += old
    written = Written(inserted, replaced)
    if written.confirmed != made.count:
        raise CountMismatch(collection.full_name, made.count, written.confirmed)
    return written


def batches(pairs: Iterator[Pair]) -> Iterator[Batch]:
    """Yield the writes, as many at once as memory should hold."""
    batch: Batch = []
    size = 0
    for key, document in pairs:
        batch.append(ReplaceOne(key, document, upsert=True))
        size += len(document.raw)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _send(collection: Collection[Any], batch: Batch) -> tuple[int, int]:
    try:
        return _counts(collection.bulk_write(batch, ordered=False).bulk_api_result)
    except BulkWriteError as error:
        # Of two upserts that both found nothing, one comes second: now it finds the other's document.
        if codes_of(error) != {DUPLICATE_KEY}:
            raise
        new, old = _counts(error.details or {})
        late = [batch[found["index"]] for found in (error.details or {})["writeErrors"]]
    again = _counts(collection.bulk_write(late, ordered=False).bulk_api_result)
    return new + again[0], old + again[1]


def _counts(told: Mapping[str, Any]) -> tuple[int, int]:
    return int(told["nUpserted"]), int(told["nMatched"])
