"""Documents in batches, each over the one with the same key.

Of a key without the run's date, what a later run has written isn't replaced.

The first load of a date finds none of its documents. It inserts them, which takes MongoDB half as long; what is there
after all, because a batch was broken off or another load was as fast, is replaced as in any other load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import bson
from pymongo import InsertOne, ReplaceOne
from pymongo.errors import BulkWriteError

from airflow_fanout.mongo.counting import verify
from airflow_fanout.mongo.documents import Encoded
from airflow_fanout.mongo.errors import CountMismatch
from airflow_fanout.mongo.explain import DUPLICATE_KEY
from airflow_fanout.mongo.index import make_index
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.retrying import codes_of, passes
from airflow_fanout.mongo.side_by_side import side_by_side
from airflow_fanout.mongo.spool import Stored, joined
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

BATCH = 1000
# A thousand documents of the largest size would take 16 GB of memory.
BATCH_BYTES = 32 << 20

Pair = tuple[Stored, Stored]
Batch = list[Pair]


class BatchCounts(NamedTuple):
    """How many documents of a batch are new, how many were there, and how many of a later run were kept."""

    new: int
    old: int
    kept: int = 0

    def plus(self, other: BatchCounts) -> BatchCounts:
        """Return the sums of both."""
        return BatchCounts(*(mine + more for mine, more in zip(self, other, strict=True)))


def upsert(loading: Loading) -> Written:
    """Write the documents, and leave all others as they are."""
    index = make_index(loading.collection, loading.target, loading.documents.key, loading.retrying)
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
    documents, retrying = loading.documents, loading.retrying
    step = _replace if retrying.run(lambda: collection.find_one(documents.date, {"_id": True})) else _insert
    loading.work.begin("Writing", documents.count)

    def send(batch: Batch) -> BatchCounts:
        return retrying.run(lambda: step(collection, batch, documents))

    counts = BatchCounts(0, 0)
    for batch_counts in side_by_side(batches(documents.pairs()), send, before_each):
        counts = counts.plus(batch_counts)
        loading.work.add(sum(batch_counts))
    written = Written(counts.new, counts.old, kept=counts.kept)
    if written.confirmed != documents.count:
        raise CountMismatch(loading.collection.full_name, documents.count, written.confirmed)
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


def _insert(collection: Collection[Any], batch: Batch, documents: Encoded) -> BatchCounts:
    try:
        counts, there = _written(collection, [InsertOne(document) for _, document in batch])
    except BulkWriteError as error:
        if passes(error) or DUPLICATE_KEY not in codes_of(error):
            raise
        # What is there already isn't refused: replacing it tells what is.
        return _replace(collection, batch, documents)
    if not there:
        return counts
    return counts.plus(_replace(collection, [batch[place] for place in there], documents))


def _replace(collection: Collection[Any], batch: Batch, documents: Encoded) -> BatchCounts:
    if documents.newer is None:
        filtered = batch
    else:
        # A document without a date, or with something else in its place, is none of a later run.
        not_newer = bson.encode({name: {"$not": later} for name, later in documents.newer.items()})
        filtered = [(Stored(joined(key.raw, not_newer)), document) for key, document in batch]
    writes: list[ReplaceOne[Any]] = [ReplaceOne(key, document, upsert=True) for key, document in filtered]
    counts, late = _written(collection, writes)
    if not late:
        return counts
    # Of two upserts that both found nothing, one comes second: now it finds the other's document.
    return counts.plus(_written_late(collection, [writes[place] for place in late], documents))


def _written_late(collection: Collection[Any], writes: Sequence[Any], documents: Encoded) -> BatchCounts:
    """Send writes once more that met another document; with a key without a date, that may be a later run's."""
    try:
        return _counts(collection.bulk_write(writes, ordered=False).bulk_api_result)
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details or {}
        met = [list(refused.get("keyPattern", ())) for refused in details.get("writeErrors", ())]
        if documents.newer is None or codes_of(error) != {DUPLICATE_KEY} or met != [list(documents.key)] * len(met):
            raise
        return _counts(details)._replace(kept=len(met))


def _written(collection: Collection[Any], writes: Sequence[Any]) -> tuple[BatchCounts, list[int]]:
    """Return what MongoDB has written, and the places of those writes that met another document with the same key."""
    try:
        return _counts(collection.bulk_write(writes, ordered=False).bulk_api_result), []
    except BulkWriteError as error:
        if codes_of(error) != {DUPLICATE_KEY}:
            raise
        details: Mapping[str, Any] = error.details or {}
        return _counts(details), [int(refusal["index"]) for refusal in details["writeErrors"]]


def _counts(answer: Mapping[str, Any]) -> BatchCounts:
    return BatchCounts(int(answer["nInserted"]) + int(answer["nUpserted"]), int(answer["nMatched"]))
