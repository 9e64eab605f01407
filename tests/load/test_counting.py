"""After the last write the run's own documents are counted where they are: by key, and as a majority has them."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import bson
import pytest
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.mongo import counting
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.errors import CountMismatch
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.shape import Shape, parameter_and_result
from airflow_fanout.mongo.target import look
from airflow_fanout.mongo.write import MODES, Retrying, Written, write
from tests.load.loads import AS_OF, WRITES, load, numbered

if TYPE_CHECKING:
    from pymongo.collection import Collection

MODE = pytest.mark.parametrize("mode", sorted(MODES))
UNSWAPPED = pytest.mark.parametrize("mode", ["replace_run", "upsert"])


class Reads(CommandListener):
    """Notes the read concern of each count by key."""

    def __init__(self) -> None:
        self.concerns: list[Any] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find" and event.command.get("limit", 0) > 1:
            self.concerns.append(event.command.get("readConcern", {}).get("level"))

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


def disturbed(uri: str, name: str, disturb: Callable[[], object], mode: str, given: Any, **options: Any) -> Written:
    """Load, while somebody does something to the collection after the last write and before the first count."""
    listener = AfterTheLastWrite(disturb)
    with MongoClient[dict[str, Any]](uri, event_listeners=[listener]) as watched:
        return load(watched.reports[name], given, mode=mode, **options)


class AfterTheLastWrite(CommandListener):
    """Does something when documents are read that have been written."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._wrote = False

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in WRITES and event.command[event.command_name] != "fanout.leases":
            self._wrote = True
        elif event.command_name == "find" and self._wrote:
            self._act()

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


@UNSWAPPED
def test_a_document_that_is_gone_is_missed(mongo_uri: str, collection: Collection[dict[str, Any]], mode: str) -> None:
    """Both numbers are in the message, and what to do; a count by date would have been made up by another run's."""
    load(collection, [{"tel": "of another run"}])

    def remove_one() -> None:
        collection.delete_one({"tel": "000007"})
        collection.update_one({"tel": "in its place"}, {"$set": {"as_of": AS_OF}}, upsert=True)

    with pytest.raises(CountMismatch) as caught:
        disturbed(mongo_uri, collection.name, remove_one, mode, numbered(1500, 1))
    assert (caught.value.given, caught.value.written) == (1500, 1499)
    assert "1,500" in str(caught.value)
    assert "1,499" in str(caught.value)
    assert "safe to run again" in str(caught.value)
    assert caught.value.retry


def test_a_swap_counts_before_it_takes_the_place(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Readers never see a collection that lacks a document."""
    load(collection, numbered(3, 1), mode="swap")

    def remove_one() -> None:
        for name in collection.database.list_collection_names(
            filter={"name": {"$regex": f"^{collection.name}.fanout"}}
        ):
            collection.database[name].delete_one({"tel": "000007"})

    with pytest.raises(CountMismatch) as caught:
        disturbed(mongo_uri, collection.name, remove_one, "swap", numbered(1500, 2))
    assert (caught.value.given, caught.value.written) == (1500, 1499)
    assert collection.count_documents({"v": 1}) == 3


def test_a_swap_counts_again_where_it_is_read_from(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """What is gone between the rename and the end of the load is missed."""
    renamed = AfterTheRename(lambda: collection.delete_one({"tel": "000007"}))
    with (
        MongoClient[dict[str, Any]](mongo_uri, event_listeners=[renamed]) as watched,
        pytest.raises(CountMismatch) as caught,
    ):
        load(watched.reports[collection.name], numbered(20, 2), mode="swap")
    assert (caught.value.given, caught.value.written) == (20, 19)


class AfterTheRename(CommandListener):
    """Does something when a collection has been renamed."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    def started(self, event: object) -> None: ...

    def succeeded(self, event: Any) -> None:
        if event.command_name == "renameCollection":
            self._act()

    def failed(self, event: object) -> None: ...


@MODE
def test_a_count_is_read_from_a_majority(mongo_uri: str, collection: Collection[dict[str, Any]], mode: str) -> None:
    """What a primary alone has is no count."""
    listener = Reads()
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        load(watched.reports[collection.name], numbered(30, 1), mode=mode)
    assert "majority" in listener.concerns


@MODE
@pytest.mark.parametrize("folds", [False, True])
def test_keys_of_any_kind_are_counted(collection: Collection[dict[str, Any]], mode: str, folds: bool) -> None:
    """Texts, numbers, flags, dates, bytes, of one field or of several; once more over what is there."""
    if folds:
        collection.database.create_collection(collection.name, collation={"locale": "en", "strength": 2})
    kinds: list[Any] = ["a", "", 1, 2.5, -0.0, True, False, AS_OF, b"x", bson.ObjectId(), bson.Int64(7), 2**62]
    kinds += [bson.Decimal128("0.10"), float("nan"), float("inf"), "ä"]
    given = [{"n": n, "kind": kind, "text": "z"} for kind in kinds for n in range(3)]
    for _ in range(2):
        assert load(collection, given, mode=mode, key=("kind", "n")).confirmed == len(given)


@pytest.mark.parametrize("size", [1, counting.BATCH - 1, counting.BATCH, counting.BATCH + 1, 2 * counting.BATCH])
def test_any_number_is_counted(collection: Collection[dict[str, Any]], size: int) -> None:
    """Wherever a batch ends, none is left out and none counted twice."""
    load(collection, numbered(3000, 1))
    assert load(collection, numbered(size, 2)) == Written(0, size)


def test_keys_that_cross_are_counted_one_by_one(collection: Collection[dict[str, Any]]) -> None:
    """Of 60 customers and 60 products MongoDB holds every pair; a run that has few of them counts only its own."""
    load(collection, [{"a": a, "b": b} for a in range(60) for b in range(60)], key=("a", "b"))
    diagonal = [{"a": n, "b": n} for n in range(60)]
    assert load(collection, diagonal, key=("a", "b")) == Written(0, 60)


def test_loads_of_the_same_date_side_by_side_count_their_own(
    mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """Ten runs that write different documents of one date into one collection all succeed."""
    with MongoClient[dict[str, Any]](mongo_uri) as client, ThreadPoolExecutor() as threads:
        mine = client.reports[collection.name]
        runs = [
            threads.submit(load, mine, list(numbered(400, 1, first=400 * run)), run=f"run {run}") for run in range(10)
        ]
        assert [run.result().confirmed for run in runs] == [400] * 10
    assert collection.count_documents({}) == 4000
    # What a load changes of its process, the last one has put back.
    assert (gc.get_freeze_count(), logging.getLogger("pymongo.command").filters) == (0, [])


def test_the_documents_of_another_run_do_not_count(collection: Collection[dict[str, Any]]) -> None:
    """With others of the same date, fewer or more than the run's, the run's keys are looked for by themselves."""
    load(collection, [{"tel": f"other {number}"} for number in range(2500)], run="other")
    assert load(collection, numbered(10, 1)) == Written(10, 0)
    assert load(collection, numbered(2600, 2)) == Written(2590, 10)


def test_a_number_without_the_keys_is_not_enough(collection: Collection[dict[str, Any]]) -> None:
    """As many documents of the date as the run has, of which one is another's, are one too few."""
    records = [Record(number, {"tel": f"{number:06d}"}, Kind.OK, 1, 1.0, result=1) for number in range(1200)]
    shape = Shape(key=("tel",), as_of=AS_OF, document=parameter_and_result)
    with encoded(records, shape) as made:
        assert write(collection, made, run="r").confirmed == 1200
        collection.update_one({"tel": "000007"}, {"$set": {"tel": "in its place"}})
        target = look(collection, lambda step: step())
        retrying = Retrying(collection.full_name, 60)
        loading = Loading(
            collection=collection, target=target, documents=made, run="r", retrying=retrying, work=retrying.work
        )
        assert counting.count(loading, collection, "as_of_1_tel_1") == 1199
        collection.update_one({"tel": "in its place"}, {"$set": {"tel": "000007"}})
        assert counting.count(loading, collection, "as_of_1_tel_1") == 1200
