from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import bson
import pytest
from pymongo import ASCENDING, MongoClient

from airflow_fanout import documents, mongo
from airflow_fanout.documents import DEEPEST, LARGEST_BYTES, Shape
from airflow_fanout.errors import CountMismatch, FanoutError, MongoFailed, WriteRefused
from airflow_fanout.mongo import BATCH, Written, upsert
from airflow_fanout.outcome import Kind, Outcome, Record

if TYPE_CHECKING:
    from pymongo.collection import Collection

AS_OF = datetime(2026, 11, 22, tzinfo=UTC)
KEY = ("as_of", "tel")


@pytest.fixture(scope="module")
def client(mongo_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """A client of the real MongoDB."""
    with MongoClient[dict[str, Any]](mongo_uri) as made:
        yield made


@pytest.fixture
def collection(client: MongoClient[dict[str, Any]]) -> Iterator[Collection[dict[str, Any]]]:
    """A collection of the test's own."""
    made = client.reports[f"test_{uuid4().hex}"]
    yield made
    made.drop()


def load(
    collection: Collection[dict[str, Any]],
    given: list[dict[str, Any]],
    *,
    as_of: datetime = AS_OF,
    count: int | None = None,
) -> Written:
    """Load documents as one run does."""
    records = [Record(index, "p", Outcome(Kind.OK, result=index), 1, 1.0) for index in range(len(given))]
    shape = Shape(key=("tel",), as_of=as_of, document=lambda _, result: given[result])
    with TemporaryFile() as spool:
        found = documents.encode(records, shape, spool)
        return upsert(collection, spool, key=KEY, count=found if count is None else count)


def stored(collection: Collection[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all documents by key, without what MongoDB adds."""
    return list(collection.find({}, {"_id": False}).sort([("as_of", ASCENDING), ("tel", ASCENDING)]))


def test_documents_are_written_whole(collection: Collection[dict[str, Any]]) -> None:
    """A new document has all its fields, with their types, and its key."""
    document = {"tel": "a", "n": 2**62, "x": 1.5, "none": None, "list": [{"a": True}], "at": AS_OF}
    assert load(collection, [document]) == Written(inserted=1, replaced=0)
    assert stored(collection) == [{**document, "at": AS_OF.replace(tzinfo=None), "as_of": AS_OF.replace(tzinfo=None)}]


def test_loading_twice_leaves_the_same(collection: Collection[dict[str, Any]]) -> None:
    """A load that is repeated replaces each document by its new state, and adds none."""
    load(collection, [{"tel": tel, "n": 1, "old": True} for tel in "abc"])
    ids = sorted(found["_id"] for found in collection.find())
    assert load(collection, [{"tel": tel, "n": 2} for tel in "abcd"]) == Written(inserted=1, replaced=3)
    assert [(found["tel"], found["n"], found.get("old")) for found in stored(collection)] == [
        (tel, 2, None) for tel in "abcd"
    ]
    assert set(ids) < {found["_id"] for found in collection.find()}


def test_another_days_documents_stay(collection: Collection[dict[str, Any]]) -> None:
    """The run's date is part of the key: a day's load leaves the day before as it was."""
    load(collection, [{"tel": "a", "n": 1}], as_of=AS_OF - timedelta(days=1))
    assert load(collection, [{"tel": "a", "n": 2}]) == Written(inserted=1, replaced=0)
    assert [found["n"] for found in stored(collection)] == [1, 2]


def test_the_unique_index_is_made_once(collection: Collection[dict[str, Any]]) -> None:
    """After the first load MongoDB itself refuses a second document with the same key."""
    load(collection, [{"tel": "a"}])
    load(collection, [{"tel": "b"}])
    indexes = {name: found for name, found in collection.index_information().items() if name != "_id_"}
    [index] = indexes.values()
    assert index["key"] == [("as_of", 1), ("tel", 1)]
    assert index["unique"] is True


def test_more_than_a_batch(collection: Collection[dict[str, Any]]) -> None:
    """Batches add up, the last one included, whatever the number."""
    many = [{"tel": f"{number:05d}"} for number in range(2 * BATCH + 1)]
    assert load(collection, many) == Written(inserted=2 * BATCH + 1, replaced=0)
    assert load(collection, many[: 2 * BATCH]) == Written(inserted=0, replaced=2 * BATCH)
    assert collection.count_documents({}) == 2 * BATCH + 1


def test_large_documents_go_in_small_batches() -> None:
    """Memory has a limit in bytes, not in documents: what is held at once stays below it and one document more."""
    sizes = [len(pair[1].raw) for pair in _large(40)]
    batches = list(mongo._batches(_large(40)))
    assert [len(batch) for batch in batches] == [32, 8]
    assert sizes[0] * 31 < mongo.BATCH_BYTES <= sizes[0] * 32


def test_the_largest_document_is_taken(collection: Collection[dict[str, Any]]) -> None:
    """What passes for large enough before the first write is stored: the limit is the server's own, `_id` included."""
    text = "y" * (LARGEST_BYTES - len(bson.encode({"tel": "x", "text": "", "as_of": AS_OF})))
    assert load(collection, [{"tel": "x", "text": text}]) == Written(inserted=1, replaced=0)
    assert len(stored(collection)[0]["text"]) == len(text)


def test_the_deepest_document_is_taken(collection: Collection[dict[str, Any]]) -> None:
    """A document of a hundred levels is stored."""
    document: dict[str, Any] = {}
    for _ in range(DEEPEST - 1):
        document = {"a": document}
    assert load(collection, [{**document, "tel": "x"}]) == Written(inserted=1, replaced=0)


def test_nothing_to_load_is_fine(collection: Collection[dict[str, Any]]) -> None:
    """A run without documents writes none, and has its index all the same."""
    assert load(collection, []) == Written(inserted=0, replaced=0)
    assert len(collection.index_information()) == 2


def test_a_collection_with_double_keys_is_not_written(collection: Collection[dict[str, Any]]) -> None:
    """Where the unique index can't be made, the message says why, and no document has been touched."""
    collection.insert_many([{"as_of": AS_OF, "tel": "a"}, {"as_of": AS_OF, "tel": "a"}])
    with pytest.raises(MongoFailed, match=r"as_of \+ tel: it holds several documents with the same key"):
        load(collection, [{"tel": "b"}])
    assert collection.count_documents({}) == 2


def test_an_index_that_is_not_unique_is_told(collection: Collection[dict[str, Any]]) -> None:
    """Another index on the same fields stands in the way, and the server's own words say so."""
    collection.create_index([("as_of", ASCENDING), ("tel", ASCENDING)])
    with pytest.raises(MongoFailed, match="index") as caught:
        load(collection, [{"tel": "b"}])
    assert caught.value.what == "no unique index"
    assert collection.count_documents({}) == 0


def test_a_refused_document_is_told_without_its_values(collection: Collection[dict[str, Any]]) -> None:
    """MongoDB's reason is in the message, the document isn't; the others of the batch are written."""
    collection.create_index("number", unique=True)
    twins = [{"tel": "a", "number": "+12025550100"}, {"tel": "b", "number": "+12025550100"}, {"tel": "c", "number": 1}]
    with pytest.raises(WriteRefused) as caught:
        load(collection, twins)
    assert (caught.value.refused, caught.value.code) == (1, 11000)
    assert "number_1" in str(caught.value)
    assert "+1202" not in str(caught.value)
    assert caught.value.retry
    assert [found["tel"] for found in stored(collection)] == ["a", "c"]


def test_a_validator_of_the_collection_is_obeyed(collection: Collection[dict[str, Any]]) -> None:
    """A collection with a schema of its own refuses what doesn't fit, by MongoDB's code for that."""
    collection.database.create_collection(collection.name, validator={"n": {"$type": "int"}})
    with pytest.raises(WriteRefused) as caught:
        load(collection, [{"tel": "a", "n": 1}, {"tel": "b", "n": "one"}])
    assert caught.value.code == 121


def test_counts_in_are_counts_out(collection: Collection[dict[str, Any]]) -> None:
    """A number that MongoDB doesn't confirm is an error with both numbers."""
    with pytest.raises(CountMismatch) as caught:
        load(collection, [{"tel": "a"}, {"tel": "b"}], count=3)
    assert (caught.value.given, caught.value.written) == (3, 2)


def test_a_server_that_is_not_there_is_an_error_to_try_again() -> None:
    """Without MongoDB the task fails, with retry, and says so."""
    nobody = MongoClient[dict[str, Any]]("127.0.0.1", 1, serverSelectionTimeoutMS=200)
    with nobody, pytest.raises(FanoutError) as caught:
        load(nobody.reports.calls, [{"tel": "a"}])
    assert isinstance(caught.value, MongoFailed)
    assert caught.value.retry
    assert "reports.calls" in str(caught.value)


def _large(number: int) -> Iterator[mongo.Pair]:
    """Yield so many documents of a mebibyte."""
    with TemporaryFile() as spool:
        records = [
            Record(index, {"tel": str(index)}, Outcome(Kind.OK, result="x" * (1 << 20)), 1, 1.0)
            for index in range(number)
        ]
        shape = Shape(key=("tel",), as_of=AS_OF, document=documents.parameter_and_result)
        documents.encode(records, shape, spool)
        yield from documents.decode(spool)
