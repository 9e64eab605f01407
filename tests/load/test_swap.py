from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from airflow_fanout.mongo import lease
from airflow_fanout.mongo.errors import DocumentRefused, SwapLost, TargetChanged
from airflow_fanout.mongo.lease import Leases
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.write import LoadWork, Written
from tests.load.loads import AS_OF, begin, load, numbered, state, stored, temporary
from tests.load.secured import failing
from tests.load.test_outages import Nth

if TYPE_CHECKING:
    from pymongo.collection import Collection


def swap(collection: Collection[dict[str, Any]], given: Any, **options: Any) -> Written:
    """Load in the mode `swap`."""
    return load(collection, given, mode="swap", **options)


def leases(collection: Collection[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the leases of a collection."""
    return list(collection.database[lease.NAME].find({"collection": collection.name}))


def indexes(collection: Collection[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return all indexes by name."""
    return {index["name"]: dict(index) for index in collection.list_indexes()}


def test_the_first_swap_makes_the_collection(collection: Collection[dict[str, Any]]) -> None:
    """Without an old collection the new one is simply there, with its index and without traces."""
    assert swap(collection, [{"tel": "a", "v": 1}]) == Written(1, 0)
    assert [tel for _, tel, _ in state(collection)] == ["a"]
    assert indexes(collection)["as_of_1_tel_1"]["unique"] is True
    assert temporary(collection) == leases(collection) == []


def test_a_swap_holds_one_run_only(collection: Collection[dict[str, Any]]) -> None:
    """What was there is gone, of other dates, too, and counted."""
    load(collection, numbered(5, 1), as_of=AS_OF - timedelta(days=1))
    assert swap(collection, numbered(3, 2)) == Written(3, 0, removed=5)
    assert [(tel, v) for _, tel, v in state(collection)] == [("000000", 2), ("000001", 2), ("000002", 2)]
    assert swap(collection, []) == Written(0, 0, removed=3)
    assert stored(collection) == []
    assert len(indexes(collection)) == 2


def test_indexes_and_options_are_carried_over(collection: Collection[dict[str, Any]]) -> None:
    """Whatever kind of index the old collection has, the new one has it, and its schema and collation."""
    collection.database.create_collection(
        collection.name, validator={"v": {"$type": "int"}}, collation={"locale": "de", "strength": 2}
    )
    collection.create_index("v", name="by_hand", sparse=True)
    collection.create_index("at", expireAfterSeconds=86400)
    collection.create_index([("text", "text")], weights={"text": 5}, collation={"locale": "simple"})
    collection.create_index([("place", "2dsphere")])
    collection.create_index([("n", -1)], partialFilterExpression={"n": {"$gt": 1}}, unique=True, hidden=True)
    collection.create_index([("$**", 1)], wildcardProjection={"x": 0})
    load(collection, [{"tel": "a", "v": 1}])
    before, options = indexes(collection), collection.options()
    swap(collection, [{"tel": "b", "v": 2}])
    assert indexes(collection) == before
    assert len(before) == 8
    assert collection.options() == options
    with pytest.raises(DocumentRefused):
        swap(collection, [{"tel": "c", "v": "no number"}])
    assert [tel for _, tel, _ in state(collection)] == ["b"]
    assert temporary(collection) == leases(collection) == []


def test_a_reader_never_sees_half(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """While it is swapped ten times, each look finds the whole of one version, and always a collection."""
    size, seen, over = 2500, Counter[str](), threading.Event()
    swap(collection, numbered(size, 0))

    def read(client: MongoClient[dict[str, Any]]) -> None:
        mine = client.reports[collection.name]
        while not over.is_set():
            assert client.reports.list_collection_names(filter={"name": mine.name})
            try:
                assert mine.count_documents({}) == size
                versions = Counter(found["v"] for found in mine.find({}, batch_size=700))
            except OperationFailure as told:
                # A query that the rename meets halfway ends in an error; it never ends early.
                assert told.code in (43, 175)  # noqa: PT017 - the other errors are no subject of this
                seen["ended by the rename"] += 1
            else:
                assert list(versions.values()) == [size]
                seen.update(f"version {version}" for version in versions)

    with MongoClient[dict[str, Any]](mongo_uri) as client, ThreadPoolExecutor() as threads:
        readers = [threads.submit(read, client) for _ in range(2)]
        try:
            for version in range(1, 11):
                assert swap(collection, numbered(size, version)) == Written(size, 0, removed=size)
        finally:
            over.set()
        for reader in readers:
            reader.result()
    print(f"looks: {dict(seen)}")
    assert len(seen) > 5


def filling(collection: Collection[dict[str, Any]], uri: str, run: str, *, timeout_s: float = 30.0) -> Any:
    """Start a long swap in a process of its own; return it once its temporary collection has documents."""
    child = begin(uri, collection.name, count=60_000, version=1, mode="swap", run=run, timeout_s=timeout_s)
    before = set(temporary(collection))
    deadline = time.monotonic() + 30
    while not any(collection.database[name].estimated_document_count() for name in {*temporary(collection)} - before):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return child


def test_a_live_load_of_another_run_is_left_alone(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Two runs swap at the same time: both succeed, and the collection is the later one's."""
    child = filling(collection, mongo_uri, "another run")
    assert swap(collection, numbered(10, 2)) == Written(10, 0)
    assert len(temporary(collection)) == 1
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert json.loads(out.splitlines()[-1]) == {"inserted": 60_000, "replaced": 0, "removed": 10, "kept": 0}, err
    assert collection.count_documents({"v": 1}) == 60_000
    assert temporary(collection) == leases(collection) == []


def test_an_older_try_of_the_same_run_is_fenced_off(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """A zombie ends with an error that says so, and what it writes is never seen."""
    child = filling(collection, mongo_uri, "same run")
    assert swap(collection, numbered(10, 2), run="same run") == Written(10, 0)
    _, err = child.communicate(timeout=60)
    assert child.returncode != 0
    assert "SwapLost" in err
    assert [v for _, _, v in state(collection)] == [2] * 10
    assert temporary(collection) == leases(collection) == []


def test_a_dead_load_is_cleared_away_when_its_lease_is_over(
    mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """Another run can't know at once that a load is dead; the run itself can."""
    for run in ("one", "other"):
        child = filling(collection, mongo_uri, run)
        child.kill()
        child.communicate()
    assert len(temporary(collection)) == 2
    swap(collection, numbered(1, 2), run="one")
    assert len(temporary(collection)) == 1
    swap(collection, numbered(1, 3), run="third")
    assert len(temporary(collection)) == 1
    collection.database[lease.NAME].update_many({"collection": collection.name}, {"$set": {"expires": AS_OF}})
    swap(collection, numbered(1, 4), run="third")
    assert temporary(collection) == leases(collection) == []


def test_collections_of_other_names_are_left_alone(collection: Collection[dict[str, Any]]) -> None:
    """Only what is named as a temporary collection of this one is cleared away."""
    names = [
        f"{collection.name}.fanout",
        f"{collection.name}.fanout-notes",
        f"x{collection.name}.fanout-{'0' * 12}-{'0' * 8}",
    ]
    dead = f"{collection.name}.fanout-{'0' * 12}-{'0' * 8}"
    for name in (*names, dead):
        collection.database[name].insert_one({})
    swap(collection, [{"tel": "a"}])
    left = collection.database.list_collection_names()
    assert dead not in left
    assert set(names) <= set(left)
    for name in names:
        collection.database[name].drop()


def test_a_lease_that_was_ended_stays_so(collection: Collection[dict[str, Any]]) -> None:
    """Once somebody has begun to clear away, a load that wakes up can't take its lease back."""
    all_of_them = Leases(collection, Retrying(collection.full_name, 5.0))
    taken = all_of_them.take("temporary", "run $one")
    assert not all_of_them.end("temporary", "run $two")
    taken.renew()
    assert all_of_them.end("temporary", "run $one")
    with pytest.raises(SwapLost):
        taken.renew()
    assert all_of_them.end("temporary", "run $two")
    all_of_them.forget("temporary")
    with pytest.raises(SwapLost):
        taken.renew()


@contextmanager
def index_build_held(client: MongoClient[dict[str, Any]]) -> Iterator[None]:
    """Keep index builds from ending."""
    held = {"configureFailPoint": "hangAfterStartingIndexBuild"}
    client.admin.command({**held, "mode": "alwaysOn"})
    try:
        yield
    finally:
        client.admin.command({**held, "mode": "off"})


def test_an_index_that_is_being_built_is_waited_for_and_carried_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """MongoDB renames over no collection whose index is being built; the load waits, says so, and keeps the index."""
    work = LoadWork()
    with failing(tmp_path) as client, ThreadPoolExecutor() as threads:
        collection = client.reports.calls
        swap(collection, numbered(10, 1))
        with index_build_held(client):
            built = threads.submit(collection.create_index, "v")
            await_that(lambda: "v_1" in indexes(collection))
            swapped = threads.submit(swap, collection, numbered(20, 2), work=work)
            await_that(lambda: "an index that is being built on reports.calls" in work.step)
            assert [v for _, _, v in state(collection)] == [1] * 10
        assert swapped.result(60) == Written(20, 0, removed=10)
        built.exception(60)
        assert [v for _, _, v in state(collection)] == [2] * 20
        assert "v_1" in indexes(collection)
        assert temporary(collection) == leases(collection) == []


def await_that(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def disturbed(uri: str, name: str, disturb: Callable[[], object], count: int = 10) -> Written:
    """Swap, while somebody does something to the target once the new collection is being filled."""
    listener = Nth({"insert"}, {1}, disturb, first=True)
    with MongoClient[dict[str, Any]](uri, event_listeners=[listener]) as watched:
        try:
            return swap(watched.reports[name], numbered(count, 2))
        finally:
            assert listener.settle() == 1


def test_an_index_that_is_added_while_it_fills_is_carried_over(
    mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """And one that is dropped meanwhile isn't there afterwards."""
    collection.create_index("old")
    swap(collection, numbered(5, 1))

    def disturb() -> None:
        collection.create_index("added", sparse=True)
        collection.drop_index("old_1")

    assert disturbed(mongo_uri, collection.name, disturb) == Written(10, 0, removed=5)
    assert indexes(collection).keys() == {"_id_", "as_of_1_tel_1", "added_1"}
    assert indexes(collection)["added_1"]["sparse"] is True


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"validator": {"v": {"$gt": 1}}}, "its validator was changed"),
        ({"validator": {}}, "its validator was removed"),
        ({"validationLevel": "moderate"}, "place: its validationLevel was added."),
        ({"validationAction": "warn"}, "place: its validationAction was added."),
    ],
    ids=str,
)
def test_options_that_change_while_it_fills_fail_the_load(
    mongo_uri: str, collection: Collection[dict[str, Any]], change: dict[str, Any], word: str
) -> None:
    """The documents were judged by other rules: the old collection stays, and the next try begins with its new ones."""
    collection.database.create_collection(collection.name, validator={"v": {"$gt": 0}})
    swap(collection, numbered(5, 1))

    def disturb() -> None:
        collection.database.command("collMod", collection.name, **change)

    with pytest.raises(TargetChanged, match=word) as caught:
        disturbed(mongo_uri, collection.name, disturb)
    assert caught.value.retry
    assert [v for _, _, v in state(collection)] == [1] * 5
    assert temporary(collection) == leases(collection) == []
    options = collection.options()
    assert swap(collection, numbered(10, 2)) == Written(10, 0, removed=5)
    assert collection.options() == options


def test_a_unique_index_that_the_documents_break_fails_the_load(
    mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """It can't be carried over, and the old collection stays."""
    swap(collection, numbered(1, 1))
    with pytest.raises(TargetChanged, match="the index 'v_1' is new, and can't be carried over"):
        disturbed(mongo_uri, collection.name, lambda: collection.create_index("v", unique=True))
    assert [v for _, _, v in state(collection)] == [1]


def test_a_collection_that_is_dropped_while_it_fills_fails_the_load(
    mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """Whoever dropped it has taken its options with it."""
    swap(collection, numbered(1, 1))
    with pytest.raises(TargetChanged, match="it isn't there any more"):
        disturbed(mongo_uri, collection.name, collection.drop)
    assert temporary(collection) == leases(collection) == []
