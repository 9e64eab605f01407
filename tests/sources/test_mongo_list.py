from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from bson import Binary, Decimal128, Int64, ObjectId, Regex
from bson.datetime_ms import DatetimeMS
from pymongo import MongoClient

from airflow_fanout import MongoList
from airflow_fanout.errors import BadSetting
from harness.airflow.connections import mongo_connection
from tests.sources.reading import Access, check, read, refused, refused_early

if TYPE_CHECKING:
    from pymongo.collection import Collection

TEL = "+12025550100"
OID = "65a1b2c3d4e5f60718293a4b"


@pytest.fixture
def customers(mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collection[dict[str, Any]]]:
    """A collection of 5,000 customers, in a database of the test's own."""
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", mongo_connection(mongo_uri))
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        database = client.get_database(f"lists_{uuid4().hex[:8]}")
        collection = database.get_collection("customers")
        collection.insert_many(
            {"_id": f"C{n:05}", "tel": TEL, "region": n % 7, "address": {"zip": f"{n:05}"}} for n in range(1, 5001)
        )
        yield collection
        client.drop_database(database)


def listed(customers: Collection[dict[str, Any]], **options: Any) -> MongoList:
    """Return the list of the collection."""
    return MongoList(database=customers.database.name, collection=customers.name, **options)


def test_each_document_is_a_parameter(customers: Collection[dict[str, Any]]) -> None:
    """All documents, in the order asked for, with the fields asked for, by other names and from inside others."""
    source = listed(customers, fields={"id": "_id", "zip": "address.zip"}, sort=(("_id", -1),), batch_size=7)
    check(source)
    assert read(source) == [{"id": f"C{n:05}", "zip": f"{n:05}"} for n in range(5000, 0, -1)]


def test_a_filter_and_its_templates(customers: Collection[dict[str, Any]]) -> None:
    """Templates are rendered in the filter and in the names; operators are MongoDB's."""
    source = MongoList(
        database="{{ where }}",
        collection="customers",
        filter={"_id": {"$lte": "{{ last }}"}, "region": {"$in": [1, 2]}},
        fields={"id": "_id"},
        sort=[("_id", 1)],
    )
    values = {"where": customers.database.name, "last": "C00009"}
    check(source, **values)
    assert read(source, **values) == [{"id": f"C0000{n}"} for n in (1, 2, 8, 9)]


def test_names_choose_fields(customers: Collection[dict[str, Any]]) -> None:
    """What the report calls its values is all that is read; without either, it is the whole document."""
    assert read(listed(customers, sort=(("_id", 1),)), names=("tel",), most=1) == [{"tel": TEL}]
    [whole] = read(listed(customers, filter={"_id": "C00001"}))
    assert whole == {"_id": "C00001", "tel": TEL, "region": 1, "address": {"zip": "00001"}}


def test_a_list_that_is_left_early_is_not_read(customers: Collection[dict[str, Any]]) -> None:
    """Of a list that is left after ten documents, MongoDB keeps no cursor."""
    with closing(listed(customers, batch_size=10).open(Access(), names=("tel",))) as items:
        assert [next(iter(items)) for _ in range(10)] == [{"tel": TEL}] * 10
        assert _open_cursors(customers) == 1
    assert _open_cursors(customers) == 0


def _open_cursors(customers: Collection[dict[str, Any]]) -> int:
    pipeline = [{"$currentOp": {"idleCursors": True}}, {"$match": {"type": "idleCursor", "ns": customers.full_name}}]
    return len(list(customers.database.client.admin.aggregate(pipeline)))


def test_types_that_json_lacks(customers: Collection[dict[str, Any]]) -> None:
    """Ids as texts, dates in UTC, decimals with all digits, UUIDs as texts, long numbers as numbers."""
    document = {
        "_id": ObjectId(OID),
        "since": datetime(2026, 11, 20, 8, tzinfo=UTC),
        "amount": Decimal128(Decimal("12.340")),
        "uid": Binary.from_uuid(UUID("0b8f6c1e-9f5d-4a55-8a43-7f3a4d7c1a11")),
        "long": Int64(9007199254740993),
        "many": [ObjectId(OID)],
    }
    customers.insert_one(document)
    assert read(listed(customers, filter={"_id": {"$oid": OID}})) == [
        {
            "_id": OID,
            "since": "2026-11-20T08:00:00+00:00",
            "amount": "12.340",
            "uid": "0b8f6c1e-9f5d-4a55-8a43-7f3a4d7c1a11",
            "long": 9007199254740993,
            "many": [OID],
        }
    ]


def test_a_filter_in_extended_json(customers: Collection[dict[str, Any]]) -> None:
    """A moment that a template gives is one for MongoDB, too; Python's own values are taken as they are."""
    customers.update_one({"_id": "C00001"}, {"$set": {"since": datetime(2026, 11, 20, 8, tzinfo=UTC)}})
    for since in ({"$date": "{{ day }}T08:00:00Z"}, datetime(2026, 11, 20, 8, tzinfo=UTC)):
        source = listed(customers, filter={"since": {"$gte": since}, "tel": {"$regex": "^\\+1"}}, fields={"id": "_id"})
        assert read(source, day="2026-11-20") == [{"id": "C00001"}]


@pytest.mark.parametrize(
    ("tel", "problem"),
    [
        (None, "has no value. Leave such rows out, or write nullable=('tel',) if null is right"),
        (Binary(b"x", 128), "has bytes, which JSON doesn't have"),
        (Regex("x"), "has a value of type Regex, which a parameter can't hold"),
        (float("inf"), "has inf, which JSON doesn't have"),
        (DatetimeMS(2**60), "has a value of type DatetimeMS"),
    ],
)
def test_values_that_are_refused(tel: Any, problem: str, customers: Collection[dict[str, Any]]) -> None:
    """The document's place in the find and the field are named, its values aren't."""
    customers.update_one({"_id": "C00003"}, {"$set": {"tel": tel}})
    words, retry = refused(listed(customers, fields=("tel",), sort=(("_id", 1),)))
    assert f"document 3 of the find: the field 'tel' {problem}" in words
    assert not retry


def test_a_missing_field(customers: Collection[dict[str, Any]]) -> None:
    """A document without the field is refused like one where it is null; or it is null, if that is right."""
    customers.update_one({"_id": "C00002"}, {"$unset": {"address": ""}})
    options = {"fields": {"zip": "address.zip"}, "filter": {"_id": "C00002"}}
    assert "document 1 of the find: the field 'zip' has no value" in refused(listed(customers, **options))[0]
    assert read(listed(customers, nullable=("zip",), **options)) == [{"zip": None}]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"collection": "clients"}, "there is no such collection, or the connection's user may not see it"),
        ({"filter": {"tel": {"$gtt": 1}}}, "unknown operator: $gtt"),
        ({"filter": {"since": {"$date": "soon"}}}, "`filter`: $date can't be read as Extended JSON"),
        ({"database": "a b"}, "a b"),
    ],
)
def test_the_preflight_asks_mongodb(
    options: dict[str, Any], problem: str, customers: Collection[dict[str, Any]]
) -> None:
    """A collection that isn't there, and a filter that MongoDB doesn't take, are found before the first request."""
    where = {"database": customers.database.name, "collection": "customers"}
    words, retry = refused_early(MongoList(**{**where, **options}))
    assert problem in words
    assert not retry


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A MongoDB that isn't there may come back."""
    extra = {"serverSelectionTimeoutMS": 100}
    conn = {"conn_type": "mongo", "host": "127.0.0.1", "port": 1, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MONGO_DEFAULT", json.dumps(conn))
    words, retry = refused_early(MongoList(database="lists", collection="customers"))
    assert "can't be reached at 127.0.0.1:1" in words
    assert retry


def test_no_connection() -> None:
    """A connection that isn't there is named."""
    source = MongoList(database="lists", collection="customers", mongo_conn_id="nowhere")
    assert "The connection 'nowhere' isn't there" in refused_early(source)[0]


def test_a_cursor_that_is_lost(customers: Collection[dict[str, Any]]) -> None:
    """A cursor that MongoDB has ended in the middle names the documents read so far, and may be tried again."""
    items = iter(listed(customers, batch_size=10, fields={"id": "_id"}, sort=(("_id", 1),)).open(Access(), names=()))
    assert [next(items)["id"] for _ in range(10)] == [f"C{n:05}" for n in range(1, 11)]
    pipeline = [{"$currentOp": {"idleCursors": True}}, {"$match": {"type": "idleCursor", "ns": customers.full_name}}]
    [operation] = customers.database.client.admin.aggregate(pipeline)
    customers.database.command("killCursors", customers.name, cursors=[operation["cursor"]["cursorId"]])
    with pytest.raises(Exception, match="after document 10: ") as caught:
        list(items)
    assert caught.value.retry is True  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"database": ""}, "database"),
        ({"collection": 7}, "collection"),
        ({"mongo_conn_id": None}, "mongo_conn_id"),
        ({"filter": "all"}, "filter"),
        ({"fields": "tel"}, "fields"),
        ({"fields": ("a.b",)}, "fields"),
        ({"sort": "tel"}, "sort"),
        ({"sort": (("tel", 2),)}, "sort"),
        ({"sort": {"tel": 1}}, "sort"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_mistakes_are_import_errors(options: dict[str, Any], field: str) -> None:
    """What can be known to be wrong while the DAG file is parsed is."""
    with pytest.raises(BadSetting) as caught:
        MongoList(**{"database": "lists", "collection": "customers", **options})
    assert caught.value.field == field
