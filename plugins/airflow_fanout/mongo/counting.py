"""How many of a run's documents are in a collection: by their keys, and as a majority has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.read_concern import ReadConcern

from airflow_fanout.mongo.errors import CountMismatch
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.side_by_side import side_by_side

if TYPE_CHECKING:
    from pymongo.collection import Collection

BATCH = 1000
# A newly elected primary may not know at once how far its majority is.
LOOK_AGAIN_S = 1.0
LOOKS = 3
# Of a key of several fields, MongoDB is asked for all combinations of a batch's values. If it has many more than are
# wanted, the keys are asked for one by one, a few at once: MongoDB plans each of them by itself.
TOO_MANY = 20
ONE_BY_ONE = 100
KEYS_AT_ONCE = 10_000

Keys = list[bytes]
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)


def verify(
    loading: Loading, collection: Collection[Any], index: str, *, before_each: Callable[[], None] = lambda: None
) -> None:
    """Count the run's documents in a collection.

    :param collection: the target, or the temporary one that takes its place.
    :param index: the name of the unique index on the key.
    :param before_each: called before each batch, in the caller's thread.
    :raises CountMismatch: when there are others than the run's, whatever else the collection holds.
    """
    present = 0
    for look in range(LOOKS):
        if look:
            time.sleep(LOOK_AGAIN_S)
        present = count(loading, collection, index, before_each=before_each)
        if present == loading.documents.count:
            return
    raise CountMismatch(loading.collection.full_name, loading.documents.count, present)


def count(
    loading: Loading, collection: Collection[Any], index: str, *, before_each: Callable[[], None] = lambda: None
) -> int:
    """Return how many of the run's documents a collection holds."""
    majority = collection.with_options(RAW, read_concern=ReadConcern("majority"))
    if loading.retrying.run(lambda: _holds_no_others(loading, majority, index, before_each), timed=False):
        return loading.documents.count
    names = loading.documents.key
    loading.work.begin("Counting the documents in MongoDB", loading.documents.count)

    def ask(keys: Keys) -> int:
        return loading.retrying.run(lambda: _present(majority, names, index, keys))

    total = 0
    keys = loading.documents.keys()
    batches = iter(lambda: list(islice(keys, BATCH)), [])
    for present in side_by_side(batches, ask, before_each):
        loading.work.add(BATCH)
        total += present
    return total


def _holds_no_others(
    loading: Loading, collection: Collection[Any], index: str, before_each: Callable[[], None]
) -> bool:
    """Tell whether the documents of the run's date are exactly the run's, by the index alone.

    That is so unless other runs write documents of the same date, and takes a fifth of the time. The keys come in
    the bytes in which they were sent; of two sets of equal size, their hashes have the same sum by a chance of 2⁻⁶⁴.
    """
    documents = loading.documents
    loading.work.begin("Counting the documents in MongoDB", documents.count)
    projection = {"_id": False, **dict.fromkeys(documents.key, True)}
    batches = collection.find_raw_batches(
        documents.date, projection, hint=index, limit=documents.count + 1, batch_size=KEYS_AT_ONCE
    )
    count = fingerprint = 0
    for batch in batches:
        before_each()
        begin = 0
        while begin < len(batch):
            # https://bsonspec.org: a document begins with its length, itself included.
            end = begin + int.from_bytes(batch[begin : begin + 4], "little")
            fingerprint += hash(batch[begin:end])
            begin = end
            count += 1
        loading.work.add(count - loading.work.done)
    return count == documents.count and fingerprint == documents.fingerprint


def _present(collection: Collection[Any], names: Sequence[str], index: str, keys: Keys) -> int:
    """Return how many of these keys there are."""
    wanted = set(keys)
    decoded = [bson.decode(key) for key in keys]
    possible: dict[str, Any] = {}
    for name in names:
        values = [key[name] for key in decoded]
        # To Python, 1 and True are the same value; to MongoDB they aren't.
        distinct = {
            (type(value), value.bid if isinstance(value, bson.Decimal128) else value): value for value in values
        }
        # Of the date there is a single one.
        possible[name] = {"$in": [*distinct.values()]} if len(distinct) > 1 else values[0]
    most = TOO_MANY * len(keys)
    projection = {"_id": False, **dict.fromkeys(names, True)}
    find = partial(collection.find, projection=projection, hint=index, limit=most, batch_size=most + 1)
    documents = list(find(possible))
    if len(documents) >= most:
        parts = (decoded[begin : begin + ONE_BY_ONE] for begin in range(0, len(decoded), ONE_BY_ONE))
        documents = [document for part in parts for document in find({"$or": part})]
    return sum(_is_one(document, names, wanted) for document in documents)


def _is_one(document: RawBSONDocument, names: Sequence[str], wanted: set[bytes]) -> bool:
    raw = document.raw
    if raw in wanted:
        return True
    # Read from the document and not from the index, the fields are in the document's order.
    fields = bson.decode(raw)
    return fields.keys() == set(names) and bson.encode({name: fields[name] for name in names}) in wanted
