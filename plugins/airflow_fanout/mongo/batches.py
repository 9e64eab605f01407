"""Documents in batches, each over the one with the same key.

The first load of a date finds none of its documents. It inserts them, which takes MongoDB half as long; what is there
after all, because a batch was broken off or another load was as fast, is replaced as in any other load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from airflow_fanout.mongo.counting import verify
from airflow_fanout.mongo.errors import CountMismatch
from airflow_fanout.mongo.explain import DUPLICATE_KEY
from airflow_fanout.mongo.index import make_index
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.retrying import codes_of, passes
from airflow_fanout.mongo.side_by_side import side_by_side
from airflow_fanout.mongo.spool import Stored
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

BATCH = 1000
# A thousand documents of the largest size would take 16 GB of memory.
BATCH_BYTES = 32 << 20

Pair = tuple[Stored, Stored]
Batch = list[Pair]


class BatchCounts(NamedTuple):
    """How many documents of a batch are new, and how many were there."""

    new: int
    old: int


def upsert(loading: Loading) -> Written:
    """Write the documents, and leave all others as they are."""
    index = make_index(loading.collection, loading.target, loading.made.key, loading.retrying)
    written = write_all(loading, loading.collection)
    verify(loading, loading.collection, index)
    return written


def write_all(
    loading: Loading, collection: Collection[Any], *, before_each: Callable[[], None] = lambda: None
) -> Written:
    """Write all documents in batches, two at once; one that is broken off is sent again, which changes nothing.

    :param collection: the target, or the temporary one that takes its place.
    :param before_each: called before each batch, in the caller's thread.
    :raises CountMismatch: when MongoDB confirms another number.
    """
    made, retrying = loading.made, loading.retrying
    step = _replace if retrying.run(lambda: collection.find_one(made.date, {"_id": True})) else _insert
    loading.work.begin("Writing", made.count)

    def send(batch: Batch) -> BatchCounts:
        return retrying.run(lambda: step(collection, batch))

    inserted = replaced = 0
    for counts in side_by_side(batches(made.pairs()), send, before_each):
        inserted += counts.new
        replaced += counts.old
        loading.work.add(counts.new + counts.old)
    written = Written(inserted, replaced)
    if written.confirmed != made.count:
        raise CountMismatch(loading.collection.full_name, made.count, written.confirmed)
    return written


def batches(pairs: Iterator[Pair]) -> Iterator[Batch]:
    """Yield the writes, as many at once as memory should hold."""
    batch: Batch = []
    size = 0
    for key, document in pairs:
        batch.append((key, document))
        size += len(document.raw)
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _insert(collection: Collection[Any], batch: Batch) -> BatchCounts:
    try:
        counts, there = _written(collection, [InsertOne(document) for _, document in batch])
    except BulkWriteError as error:
        if passes(error) or DUPLICATE_KEY not in codes_of(error):
            raise
        # What is there already isn't refused: replacing it tells what is.
        return _replace(collection, batch)
    if not there:
        return counts
    old = _replace(collection, [batch[place] for place in there])
    return BatchCounts(counts.new + old.new, counts.old + old.old)


def _replace(collection: Collection[Any], batch: Batch) -> BatchCounts:
    writes: list[ReplaceOne[Any]] = [ReplaceOne(key, document, upsert=True) for key, document in batch]
    counts, late = _written(collection, writes)
    if not late:
        return counts
    # Of two upserts that both found nothing, one comes second: now it finds the other's document.
    again = collection.bulk_write([writes[place] for place in late], ordered=False)
    second = _counts(again.bulk_api_result)
    return BatchCounts(counts.new + second.new, counts.old + second.old)


def _written(collection: Collection[Any], writes: Sequence[Any]) -> tuple[BatchCounts, list[int]]:
    """Return what MongoDB has written, and the places of those writes that met another document with the same key."""
    try:
        return _counts(collection.bulk_write(writes, ordered=False).bulk_api_result), []
    except BulkWriteError as error:
        if codes_of(error) != {DUPLICATE_KEY}:
            raise
        details: Mapping[str, Any] = error.details or {}
        return _counts(details), [int(found["index"]) for found in details["writeErrors"]]


def _counts(told: Mapping[str, Any]) -> BatchCounts:
    return BatchCounts(int(told["nInserted"]) + int(told["nUpserted"]), int(told["nMatched"]))
