"""Documents that MongoDB would refuse, or take for the same: found before the first write, in every mode."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from airflow_fanout.mongo.batches import BATCH
from airflow_fanout.mongo.errors import DocumentRefused, KeysMeet, WriteRefused
from airflow_fanout.mongo.write import MODES, Written
from tests.load.loads import AS_OF, load, stored, temporary
from tests.load.secured import PASSWORD, failing, secured

if TYPE_CHECKING:
    from pymongo.collection import Collection

MODE = pytest.mark.parametrize("mode", sorted(MODES))
FOLDS = {"locale": "en", "strength": 2}
ACCENTS = {"locale": "fr", "strength": 1}
NUMERIC = {"locale": "en", "strength": 3, "numericOrdering": True}


def refused(
    collection: Collection[dict[str, Any]], given: Any, mode: str, kind: type[Exception], **options: Any
) -> str:
    """Load what is refused; return the message. What was there stays as it was, and nothing is left behind."""
    before = stored(collection)
    with pytest.raises(kind) as caught:
        load(collection, given, mode=mode, **options)
    assert stored(collection) == before
    assert temporary(collection) == list(collection.database["fanout.leases"].find({"collection": collection.name}))
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert not getattr(caught.value, "retry", True)
    assert "Nothing was written" in str(caught.value)
    return str(caught.value)


@MODE
@pytest.mark.parametrize(
    ("collation", "one", "other"),
    [
        (FOLDS, "Number-Abc", "number-abc"),
        (FOLDS, "ÉCLAIR-12", "éclair-12"),
        (ACCENTS, "élève-un", "eleve-un"),
        ({"locale": "en", "strength": 1}, "résumé-1", "RESUME-1"),
        (NUMERIC, "day 007", "day 7"),
        ({"locale": "en", "alternate": "shifted", "strength": 3}, "ab cde", "abcde"),
        ({"locale": "en", "normalization": True, "strength": 3}, "caf\u00e9-x", "cafe\u0301-x"),
    ],
    ids=str,
)
def test_two_keys_that_the_collation_makes_equal_are_refused(
    collection: Collection[dict[str, Any]], mode: str, collation: dict[str, Any], one: str, other: str
) -> None:
    """Both are named, masked, with their places in the list; in no mode is a document written."""
    collection.database.create_collection(collection.name, collation=collation)
    load(collection, [{"tel": "old", "v": 1}])
    # The two are in different batches.
    between = [{"tel": f"x{number}x"} for number in range(BATCH)]
    told = refused(collection, [{"tel": one}, *between, {"tel": other}], mode, KeysMeet)
    assert f"parameter 0 (tel: …{one[-2:]}) and parameter {BATCH + 1} (tel: …{other[-2:]})" in told
    assert f"locale {collation['locale']}" in told
    assert one not in told
    assert other not in told


@MODE
def test_different_keys_under_a_collation_are_loaded(collection: Collection[dict[str, Any]], mode: str) -> None:
    """A collation alone refuses nothing, and doesn't double what it finds again."""
    collection.database.create_collection(collection.name, collation=FOLDS)
    given = [{"tel": f"Key-{number}"} for number in range(BATCH + 1)]
    assert load(collection, given, mode=mode) == Written(BATCH + 1, 0)
    again = load(collection, [{"tel": f"KEY-{number}"} for number in range(BATCH + 1)], mode=mode)
    assert again.confirmed == BATCH + 1
    assert collection.count_documents({}) == BATCH + 1
    assert temporary(collection) == []


@MODE
def test_a_unique_index_that_folds_cases_is_obeyed(collection: Collection[dict[str, Any]], mode: str) -> None:
    """The collection compares byte by byte, and one of its indexes doesn't."""
    collection.create_index([("as_of", 1), ("tel", 1)], unique=True, collation=FOLDS, name="folds")
    told = refused(collection, [{"tel": "Number-1"}, {"tel": "number-1"}], mode, KeysMeet)
    assert "unique index 'folds'" in told
    assert "parameter 0 (tel: …-1) and parameter 1" in told


@MODE
@pytest.mark.parametrize(
    ("index", "first", "second", "field"),
    [
        (["number"], {"number": "+12025550100"}, {"number": "+12025550100"}, "number"),
        (["a", "b"], {"a": 1, "b": "x"}, {"a": 1, "b": "x"}, "a + b"),
        (["as_of"], {}, {}, "as_of"),
        (["person.name"], {"person": {"name": "Ada Lovelace"}}, {"person": {"name": "Ada Lovelace"}}, "person.name"),
        (["tags"], {"tags": ["red", "blue"]}, {"tags": ["green", "red"]}, "tags"),
    ],
    ids=str,
)
def test_two_documents_that_another_unique_index_takes_for_the_same_are_refused(
    collection: Collection[dict[str, Any]],
    mode: str,
    index: list[str],
    first: dict[str, Any],
    second: dict[str, Any],
    field: str,
) -> None:
    """By MongoDB's own rules for the index, with the index named and no value of it."""
    collection.create_index([(name, 1) for name in index], unique=True)
    told = refused(collection, [{"tel": "one", **first}, {"tel": "two", **second}], mode, KeysMeet)
    assert f"values of {field} are the same" in told
    assert "parameter 1 (" in told
    assert "Lovelace" not in told
    assert "+1202" not in told


@MODE
def test_an_index_that_leaves_documents_out_is_obeyed_as_it_is(
    collection: Collection[dict[str, Any]], mode: str
) -> None:
    """A partial or sparse unique index says nothing of the others."""
    collection.create_index("number", unique=True, sparse=True)
    collection.create_index("rank", unique=True, partialFilterExpression={"rank": {"$gt": 5}})
    load(collection, [{"tel": tel, "rank": 1} for tel in "abc"], mode=mode)
    refused(collection, [{"tel": tel, "rank": 7} for tel in "abc"], mode, KeysMeet)


VALIDATOR = {
    "$jsonSchema": {
        "required": ["tel", "name"],
        "properties": {"calls": {"bsonType": "int", "minimum": 0}, "person": {"required": ["age"]}},
    }
}


@MODE
@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"calls": 1}, "property 'name' is missing"),
        ({"name": "Ada Lovelace", "calls": "+12025550100"}, "property 'calls': bsonType int"),
        ({"name": "Ada Lovelace", "calls": -44445555}, "property 'calls': minimum 0"),
        ({"name": "Ada Lovelace", "person": {"born": 1815}}, "property 'person.age' is missing"),
    ],
    ids=str,
)
def test_a_document_that_the_validator_refuses_is_named_with_the_property(
    collection: Collection[dict[str, Any]], mode: str, wrong: dict[str, Any], word: str
) -> None:
    """The masked key, the rule that isn't met, and no value."""
    collection.database.create_collection(collection.name, validator=VALIDATOR)
    load(collection, [{"tel": "old", "name": "x"}])
    good = [{"tel": f"good-{number}", "name": "x", "calls": 1} for number in range(BATCH + 5)]
    told = refused(collection, [*good, {"tel": "Number-Abc", **wrong}], mode, DocumentRefused)
    assert word in told
    assert f"parameter {BATCH + 5} (tel: …bc)" in told
    assert not [value for value in ("Lovelace", "12025550100", "44445555", "1815", "Number") if value in told]


@MODE
@pytest.mark.parametrize("options", [{"validationAction": "warn"}, {"validationLevel": "off"}], ids=str)
def test_a_validator_that_only_warns_refuses_nothing(
    collection: Collection[dict[str, Any]], mode: str, options: dict[str, Any]
) -> None:
    """What MongoDB takes, load takes."""
    collection.database.create_collection(collection.name, validator=VALIDATOR, **options)
    assert load(collection, [{"tel": "a"}], mode=mode) == Written(1, 0)


def test_a_moderate_validator_lets_a_bad_document_stay_bad(collection: Collection[dict[str, Any]]) -> None:
    """It judges new documents, and those that were good."""
    load(collection, [{"tel": "bad"}, {"tel": "good", "name": "x"}])
    database = collection.database
    database.command("collMod", collection.name, validator=VALIDATOR, validationLevel="moderate")
    assert load(collection, [{"tel": "bad", "v": 2}]) == Written(0, 1)
    refused(collection, [{"tel": "bad", "v": 3}, {"tel": "good"}], "upsert", DocumentRefused)
    refused(collection, [{"tel": "new"}], "upsert", DocumentRefused)
    # In a new collection all documents are new.
    refused(collection, [{"tel": "bad", "v": 4}], "swap", DocumentRefused)


@MODE
@pytest.mark.parametrize(
    ("index", "wrong", "word"),
    [
        ([("place", "2dsphere")], {"place": {"type": "Point", "coordinates": [400, 77]}}, "geo keys"),
        ([("text", "text")], {"text": "x", "language": "klingonese"}, "language override unsupported"),
        ([("tags", "hashed")], {"tags": ["Lovelace"]}, "hashed"),
    ],
    ids=str,
)
def test_what_an_index_cannot_hold_is_refused(
    collection: Collection[dict[str, Any]], mode: str, index: Any, wrong: dict[str, Any], word: str
) -> None:
    """Places, languages and lists that an index of MongoDB's doesn't take."""
    collection.create_index(index)
    told = refused(collection, [{"tel": "a"}, {"tel": "b", **wrong}], mode, DocumentRefused)
    assert word in told
    assert "klingonese" not in told
    assert "Lovelace" not in told


def test_a_collection_without_rules_costs_no_trial(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Plain indexes, and a unique one that has all of the key, refuse no document whose key is a new one."""
    collection.create_index([("region", 1), ("v", -1)])
    collection.create_index([("tel", 1), ("as_of", 1), ("v", 1)], unique=True)
    listener = Creations()
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        for mode in ("upsert", "replace_run"):
            load(watched.reports[collection.name], [{"tel": "a"}], mode=mode)
        assert listener.created == 0
        # This one can take two keys for the same.
        collection.create_index("number", unique=True)
        load(watched.reports[collection.name], [{"tel": "a"}])
        assert listener.created == 1


class Creations(CommandListener):
    """Counts the collections that are made."""

    def __init__(self) -> None:
        self.created = 0

    def started(self, event: CommandStartedEvent) -> None:
        self.created += event.command_name == "create"

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


def test_a_trial_that_is_broken_off_meets_no_document_of_its_own(tmp_path: Path) -> None:
    """What an attempt has inserted whose answer was lost isn't taken for another document of the run."""
    with failing(tmp_path) as client:
        collection = client.reports.create_collection("calls", collation=FOLDS)
        lost = {"failCommands": ["insert"], "writeConcernError": {"code": 91, "errmsg": "shutdown in progress"}}
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 2}, data=lost)
        assert load(collection, [{"tel": f"key-{number}"} for number in range(3 * BATCH)]).confirmed == 3 * BATCH
        assert client.admin.command("configureFailPoint", "failCommand", mode="off")["count"] == 2


def test_a_user_without_the_right_to_try_is_told_and_loads(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who may write to the collection alone can't make another one: a warning says what then isn't known before."""
    caplog.set_level(logging.WARNING)
    with secured(tmp_path) as port:
        root = MongoClient[dict[str, Any]]("127.0.0.1", port, username="root", password=PASSWORD)
        narrow = MongoClient[dict[str, Any]]("127.0.0.1", port, username="narrow", password=PASSWORD)
        with root, narrow:
            root.reports.create_collection("calls")
            root.reports.calls.create_index("number", unique=True)
            assert load(narrow.reports.calls, [{"tel": "a", "number": 1}]) == Written(1, 0)
            with pytest.raises(WriteRefused, match="the unique index number_1 on number"):
                load(narrow.reports.calls, [{"tel": "a", "number": 1}], as_of=AS_OF + timedelta(1))
    assert "Grant readWrite on reports" in caplog.text
