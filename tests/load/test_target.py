from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from airflow_fanout.mongo.access import access_of, client_of, refusal
from airflow_fanout.mongo.errors import BadTarget, MongoUnreachable
from airflow_fanout.mongo.namespaces import name_problems
from airflow_fanout.mongo.preflight import target_problems
from airflow_fanout.mongo.target import Target, look, problems
from airflow_fanout.mongo.write import MODES
from tests.load.loads import AS_OF, load, temporary
from tests.load.secured import PASSWORD, secured

if TYPE_CHECKING:
    from pymongo.collection import Collection

KEY = ("as_of", "tel")
MODE = pytest.mark.parametrize("mode", sorted(MODES))


def found(collection: Collection[dict[str, Any]], mode: str = "upsert") -> list[str]:
    """Return what is wrong with a collection."""
    return problems(look(collection, lambda step: step()), mode=mode, key=KEY)


@MODE
@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"viewOn": "calls"}, "a view"),
        ({"timeseries": {"timeField": "as_of"}}, "a time series"),
        ({"capped": True, "size": 4096}, "a capped collection"),
        ({"capped": True, "size": 1 << 20, "max": 10}, "a capped collection"),
    ],
    ids=str,
)
def test_what_is_no_plain_collection_is_refused(
    collection: Collection[dict[str, Any]], mode: str, options: dict[str, Any], word: str
) -> None:
    """Views take no documents, time series replace none, and what is capped forgets them; in no mode is one written."""
    collection.database.create_collection(collection.name, **options)
    with pytest.raises(BadTarget, match=word) as caught:
        load(collection, [{"tel": "a"}], mode=mode)
    assert not caught.value.retry
    assert collection.full_name in str(caught.value)
    assert "viewOn" in options or collection.count_documents({}) == 0
    assert temporary(collection) == []


@MODE
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"collation": {"locale": "en", "strength": 2}},
        {"validator": {"v": {"$type": "int"}}},
        {"clusteredIndex": {"key": {"_id": 1}, "unique": True, "name": "by_id"}},
        {"changeStreamPreAndPostImages": {"enabled": False}},
    ],
    ids=str,
)
def test_a_collection_with_rules_of_its_own_is_loaded(
    collection: Collection[dict[str, Any]], mode: str, options: dict[str, Any]
) -> None:
    """A validator or a collation alone is no reason to refuse a collection."""
    collection.database.create_collection(collection.name, **options)
    assert found(collection, mode) == []
    assert load(collection, [{"tel": "a", "v": 1}], mode=mode).confirmed == 1
    assert load(collection, [{"tel": "a", "v": 2}], mode=mode).confirmed == 1
    assert [one["v"] for one in collection.find({"as_of": AS_OF})] == [2]


@MODE
def test_an_index_in_the_way_is_named(collection: Collection[dict[str, Any]], mode: str) -> None:
    """An index on the key's fields that isn't unique, or that nothing is found by, is to be dropped first."""
    collection.create_index([("as_of", 1), ("tel", 1)], name="by_hand")
    with pytest.raises(BadTarget, match="index 'by_hand' on as_of \\+ tel isn't unique"):
        load(collection, [{"tel": "a"}], mode=mode)
    collection.drop_index("by_hand")
    collection.create_index([("as_of", 1), ("tel", 1)], name="hidden", unique=True, hidden=True)
    with pytest.raises(BadTarget, match="index 'hidden' is hidden"):
        load(collection, [{"tel": "a"}], mode=mode)
    assert collection.count_documents({}) == 0
    assert temporary(collection) == []


@MODE
@pytest.mark.parametrize(
    "options",
    [
        {"unique": True, "partialFilterExpression": {"v": 1}},
        {"partialFilterExpression": {"v": 1}},
        {"sparse": True},
        {"unique": True, "sparse": True},
        {"unique": True, "collation": {"locale": "en", "strength": 2}},
        {"collation": {"locale": "en", "strength": 2}},
    ],
    ids=str,
)
def test_an_index_that_holds_or_compares_otherwise_does_not_serve(
    collection: Collection[dict[str, Any]], mode: str, options: dict[str, Any]
) -> None:
    """A partial or a sparse index, or one that folds cases, leaves room for load's own beside it."""
    collection.create_index([("as_of", 1), ("tel", 1)], **options)
    assert load(collection, [{"tel": "a", "v": 1}], mode=mode).confirmed == 1
    own = [index for index in collection.list_indexes() if index.get("unique") and "collation" not in index]
    assert any(not {"sparse", "partialFilterExpression"} & index.keys() for index in own)
    assert len(list(collection.list_indexes())) == 3


@pytest.mark.parametrize(
    ("database", "collection", "word"),
    [
        (None, "calls", "its value is missing"),
        ("None", "calls", "its value is missing"),
        ("", "calls", "its value is missing"),
        ("reports", " ", "its value is missing"),
        ("a b", "calls", "' '"),
        ("a.b", "calls", "'.'"),
        ("a/b", "calls", "'/'"),
        ("a$b", "calls", "'$'"),
        ("x" * 64, "calls", "64 bytes"),
        ("ü" * 32, "calls", "64 bytes"),
        ("admin", "calls", "keeps for itself"),
        ("Local", "calls", "keeps for itself"),
        ("config", "calls", "keeps for itself"),
        ("reports", None, "its value is missing"),
        ("reports", "None", "its value is missing"),
        ("reports", "a$b", "'$'"),
        ("reports", "a\0b", "\\x00"),
        ("reports", ".a", "dot"),
        ("reports", "a.", "dot"),
        ("reports", "a..b", "dot"),
        ("reports", "system.users", "system."),
        ("reports", "fanout.leases", "collections of its own"),
        ("reports", f"calls.fanout-{'0' * 12}-{'0' * 8}", "collections of its own"),
        ("reports", "x" * 248, "256 bytes"),
    ],
)
def test_a_name_that_mongodb_does_not_take_is_refused(database: Any, collection: Any, word: str) -> None:
    """The field is named, with its value and the rule, without asking a server."""
    [problem] = name_problems(database, collection)
    assert word in problem


@pytest.mark.parametrize("name", ["données", "a b", "日本語", "a-b.c", "x" * 247, "calls.fanout"])
def test_any_other_name_is_taken(client: MongoClient[dict[str, Any]], name: str) -> None:
    """What MongoDB allows, load allows."""
    assert name_problems("reports", name) == []
    collection = client["reports"][name]
    assert load(collection, [{"tel": "a"}]).confirmed == 1
    collection.drop()


def test_a_name_that_is_too_long_for_a_temporary_collection_is_refused() -> None:
    """`swap` fills a collection with a longer name."""
    target = Target(database="reports", name="x" * 219)
    assert problems(target, mode="upsert", key=KEY) == []
    [problem] = problems(target, mode="swap", key=KEY)
    assert "227 bytes, and 226 are possible" in problem


def test_a_database_that_differs_in_case_only_is_named(client: MongoClient[dict[str, Any]]) -> None:
    """MongoDB would refuse the first write."""
    client.reports.anything.insert_one({})
    [problem] = found(client["REPORTS"].calls)
    assert "'reports'" in problem


@pytest.mark.parametrize(
    ("mode", "shard_key", "count"),
    [("upsert", ("as_of",), 0), ("upsert", ("region",), 1), ("replace_run", ("tel", "x"), 1), ("swap", ("as_of",), 1)],
)
def test_a_sharded_collection_needs_its_shard_key_in_the_key(mode: str, shard_key: tuple[str, ...], count: int) -> None:
    """A unique index of a sharded collection has all of the shard key; nothing can be renamed over one."""
    target = Target(database="reports", name="calls", kind="collection", shard_key=shard_key)
    assert len(problems(target, mode=mode, key=KEY)) == count


def test_an_encrypted_field_is_no_key() -> None:
    """Encrypted values can't be compared; over an encrypted collection nothing can be renamed."""
    options = {"encryptedFields": {"fields": [{"path": "tel", "bsonType": "string"}]}}
    target = Target(database="reports", name="calls", kind="collection", options=options)
    assert ["'tel' is encrypted" in problem for problem in problems(target, mode="swap", key=KEY)] == [True, False]
    assert problems(target, mode="upsert", key=("as_of", "customer")) == []


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a MongoDB that wants a login."""
    with secured(tmp_path_factory.mktemp("secured")) as running:
        yield running


def asked(port: int, mode: str = "upsert", **login: Any) -> list[str]:
    """Return what a login is told."""
    with MongoClient[dict[str, Any]]("127.0.0.1", port, **login) as client:
        return target_problems(
            client,
            "reports",
            "calls",
            conn_id="mongo_reports",
            auth_source=login.get("authSource", "admin"),
            mode=mode,
            key=KEY,
            within_s=10,
        )


@MODE
@pytest.mark.parametrize("login", [{"username": "writer"}, {"username": "local", "authSource": "reports"}], ids=str)
def test_a_user_who_may_write_may_load(port: int, mode: str, login: dict[str, Any]) -> None:
    """ReadWrite on the database is enough for each mode."""
    assert asked(port, mode, password=PASSWORD, **login) == []


@pytest.mark.parametrize(("mode", "count"), [("upsert", 0), ("replace_run", 1), ("swap", 1)])
def test_a_user_of_one_collection_may_upsert(port: int, mode: str, count: int) -> None:
    """The other modes remove documents, or make collections."""
    assert len(asked(port, mode, username="narrow", password=PASSWORD)) == count


@MODE
def test_a_user_who_may_only_read_is_told_what_is_missing(port: int, mode: str) -> None:
    """With the connection, the user, the rights, and the command that grants them."""
    [problem] = asked(port, mode, username="reader", password=PASSWORD)
    assert "connection 'mongo_reports' logs in as 'reader'" in problem
    assert "createIndex, insert, " in problem.replace("createCollection, ", "").replace("dropCollection, ", "")
    assert 'use admin; db.grantRolesToUser("reader", [{role: "readWrite", db: "reports"}])' in problem


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({"username": "writer", "password": "wrong"}, ("password is wrong", "'admin'")),
        ({"username": "local", "password": PASSWORD}, ("authSource", "'admin'")),
        ({"username": "writer", "password": PASSWORD, "authSource": "reports"}, ("authSource", "'reports'", "admin)")),
        ({}, ("has no login",)),
    ],
    ids=str,
)
def test_a_refused_login_names_the_connection(port: int, login: dict[str, Any], words: tuple[str, ...]) -> None:
    """A wrong password, a user of another database, no login at all: each has its sentence, and none a secret."""
    [problem] = asked(port, **login)
    assert "'mongo_reports'" in problem
    assert [word for word in words if word not in problem] == []
    assert PASSWORD not in problem


def test_an_address_where_nobody_answers_is_named() -> None:
    """With the connection and the cause, and without the driver's description of its topology."""
    with (
        MongoClient[dict[str, Any]]("mongodb://127.0.0.1:1,nowhere.invalid:2/", serverSelectionTimeoutMS=300) as nobody,
        pytest.raises(MongoUnreachable) as caught,
    ):
        target_problems(
            nobody,
            "reports",
            "calls",
            conn_id="mongo_reports",
            auth_source="admin",
            mode="upsert",
            key=KEY,
            within_s=0.5,
        )
    problem = str(caught.value)
    assert "'mongo_reports' can't be reached at 127.0.0.1:1, nowhere.invalid:2" in problem
    assert "Connection refused" in problem
    assert "Topology" not in problem
    assert "configured timeouts" not in problem


def test_bad_names_are_told_together_with_a_bad_login(port: int) -> None:
    """All that is wrong is told at once."""
    with MongoClient[dict[str, Any]]("127.0.0.1", port, username="writer", password="wrong") as client:
        told = target_problems(
            client,
            "a b",
            "x$",
            conn_id="mongo_reports",
            auth_source="admin",
            mode="upsert",
            key=KEY,
            within_s=10,
        )
    assert len(told) == 3


def test_an_error_about_something_else_is_no_refusal(client: MongoClient[dict[str, Any]]) -> None:
    """Only reaching and logging in are told here."""
    assert refusal(OperationFailure("bad", 2), client, "mongo_reports", "admin") is None
    assert access_of(client, "reports").problems("reports", "calls", "swap", needs_index=True) == []
    assert isinstance(refusal(OperationFailure("", 18), client, "m", "admin"), Exception)
    assert MongoUnreachable.retry
    assert client_of(lambda: client, "mongo_reports") is client
