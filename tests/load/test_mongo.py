from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import bson
import pytest
from msgspec.structs import replace
from pymongo import ASCENDING, MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent, CommandSucceededEvent

from airflow_fanout.errors import FanoutError
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.mongo.batches import BATCH, BATCH_BYTES, Pair, batches, write_all
from airflow_fanout.mongo.documents import encoded
from airflow_fanout.mongo.errors import CountMismatch, MongoUnreachable, NoUniqueIndex, WriteRefused
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.shape import Shape, parameter_and_result
from airflow_fanout.mongo.side_by_side import AT_ONCE
from airflow_fanout.mongo.spool import Stored
from airflow_fanout.mongo.storable import DEEPEST, LARGEST_BYTES
from airflow_fanout.mongo.target import look
from airflow_fanout.mongo.write import Written, write
from tests.load.loads import AS_OF, WRITES, load, numbered, stored

if TYPE_CHECKING:
    from pymongo.collection import Collection

KEY = Stored(bson.encode({}))


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
    assert [len(batch) for batch in batches(_large(40))] == [32, 8]
    assert sizes[0] * 31 < BATCH_BYTES <= sizes[0] * 32


MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("sizes", "numbers"),
    [
        ([1] * 2500, [1000, 1000, 500]),
        ([1] * 2000, [1000, 1000]),
        ([MEBIBYTE] * 66, [32, 32, 2]),
        ([MEBIBYTE - 1] + [MEBIBYTE] * 65, [33, 32, 1]),
        ([MEBIBYTE] * 32 + [MEBIBYTE - 1] + [MEBIBYTE] * 32, [32, 33]),
        ([], []),
    ],
    ids=["many", "just as many", "large", "large, by a byte", "large, by a byte, later", "none"],
)
def test_a_batch_ends_at_a_thousand_documents_or_32_mebibytes(sizes: list[int], numbers: list[int]) -> None:
    """Whichever comes first, each batch for itself; what is left over is the last one."""
    made = {size: Stored(size.to_bytes(4, "little") + bytes(size - 4)) if size > 4 else KEY for size in sizes}
    found = list(batches((KEY, made[size]) for size in sizes))
    assert [len(batch) for batch in found] == numbers
    assert [document for batch in found for _, document in batch] == [made[size] for size in sizes]


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
    """Where the unique index can't be made, the message says how many stand in the way; no document is touched."""
    collection.insert_many([{"as_of": AS_OF, "tel": "a"}, {"as_of": AS_OF, "tel": "a"}, {"as_of": AS_OF, "tel": "b"}])
    with pytest.raises(NoUniqueIndex, match=r"as_of \+ tel: it holds several .* the same key: 2 share 1 keys"):
        load(collection, [{"tel": "b"}])
    assert collection.count_documents({}) == 3
    assert not NoUniqueIndex.retry


@pytest.mark.parametrize(
    ("old", "field"), [({"as_of": AS_OF}, "tel"), ({"tel": "a"}, "as_of"), ({"tel": None}, "as_of")]
)
def test_old_documents_without_a_key_field_are_counted(
    collection: Collection[dict[str, Any]], old: dict[str, Any], field: str
) -> None:
    """What keeps the index from being made is the field that they lack."""
    collection.insert_many([dict(old) for _ in range(3)])
    with pytest.raises(NoUniqueIndex, match=f"3 of its documents have no field '{field}'"):
        load(collection, [{"tel": "b"}])
    assert collection.count_documents({}) == 3


def test_a_unique_index_of_another_name_will_do(collection: Collection[dict[str, Any]]) -> None:
    """Who has made the index by hand, under a name of their own, needs no second one."""
    collection.create_index([("as_of", ASCENDING), ("tel", ASCENDING)], unique=True, name="by_hand")
    assert load(collection, [{"tel": "a"}]).inserted == 1
    assert set(collection.index_information()) == {"_id_", "by_hand"}


def test_a_refused_document_is_told_without_its_values(collection: Collection[dict[str, Any]]) -> None:
    """MongoDB's reason is in the message with the index, the document isn't; the others of the batch are written."""
    collection.create_index("number", unique=True)
    collection.insert_one({"number": "+12025550100"})
    with pytest.raises(WriteRefused) as caught:
        load(collection, [{"tel": "a", "number": "+12025550100"}, {"tel": "c", "number": 1}])
    assert (caught.value.refused, caught.value.code) == (1, 11000)
    assert "the unique index number_1 on number" in str(caught.value)
    assert "+1202" not in str(caught.value)
    assert caught.value.retry
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert [found["tel"] for found in collection.find({"tel": {"$exists": True}})] == ["c"]


def test_counts_in_are_counts_out(collection: Collection[dict[str, Any]]) -> None:
    """A number that MongoDB doesn't confirm is an error with both numbers."""
    records = [Record(0, {"tel": "a"}, Kind.OK, 1, 1.0), Record(1, {"tel": "b"}, Kind.OK, 1, 1.0)]
    shape = Shape(key=("tel",), as_of=AS_OF, document=parameter_and_result)
    for given in (1, 3):
        with encoded(records, shape) as made, pytest.raises(CountMismatch) as caught:
            write(collection, replace(made, count=given), run="r")
        assert (caught.value.given, caught.value.written) == (given, 2)


def test_a_server_that_is_not_there_is_an_error_to_try_again() -> None:
    """Without MongoDB the task fails, with retry, and says so."""
    nobody = MongoClient[dict[str, Any]]("127.0.0.1", 1, serverSelectionTimeoutMS=200)
    with nobody, pytest.raises(FanoutError) as caught:
        load(nobody.reports.calls, [{"tel": "a"}], timeout_s=0.5)
    assert isinstance(caught.value, MongoUnreachable)
    assert caught.value.retry
    assert "connection 'mongo_default' can't be reached at 127.0.0.1:1" in str(caught.value)
    assert "tried for 0.5 s" in str(caught.value)
    assert "Topology" not in str(caught.value)


class Unblocks(CommandListener):
    """Removes a document as soon as a write has met it; as another client would, between two sends."""

    def __init__(self, blocked: Collection[dict[str, Any]], times: int) -> None:
        self.blocked = blocked
        self.left = times
        self.written: list[int] = []
        self._mine: set[int] = set()

    def started(self, event: CommandStartedEvent) -> None:
        # The trial before the first write goes to another collection.
        if event.command_name in WRITES and event.command[event.command_name] == self.blocked.name:
            self._mine.add(event.request_id)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.request_id in self._mine:
            self.written.append(event.reply["n"])
            if event.reply.get("writeErrors") and self.left:
                self.left -= 1
                self.blocked.delete_one({"blocks": True})

    def failed(self, event: object) -> None: ...


class Sent(CommandListener):
    """Notes by which commands documents are written, and does something once they have been looked for."""

    def __init__(self, after_the_look: Callable[[], object] = lambda: None) -> None:
        self._acts = [after_the_look]
        self.writes: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in WRITES:
            self.writes.append(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name == "find" and self._acts:
            self._acts.pop()()

    def failed(self, event: object) -> None: ...


def test_the_first_load_of_a_date_inserts(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Nothing is there to be replaced, and MongoDB needn't look for it; the next load replaces."""
    load(collection, [{"tel": "a"}], as_of=AS_OF - timedelta(days=1))
    listener = Sent()
    many = [{"tel": f"{number:05d}"} for number in range(BATCH + 1)]
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        assert load(watched.reports[collection.name], many) == Written(inserted=BATCH + 1, replaced=0)
        assert load(watched.reports[collection.name], many) == Written(inserted=0, replaced=BATCH + 1)
    assert listener.writes == ["insert"] * 2 + ["update"] * 2


def test_what_is_there_after_all_is_replaced(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Another load of the same date may be as fast as this one: no document is doubled, and none is lost."""
    listener = Sent(lambda: load(collection, [{"tel": tel, "n": 1} for tel in "abx"]))
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        mine = [{"tel": tel, "n": 2} for tel in "abcd"]
        assert load(watched.reports[collection.name], mine) == Written(inserted=2, replaced=2)
    assert listener.writes == ["insert", "update"]
    assert [(found["tel"], found["n"]) for found in stored(collection)] == [
        ("a", 2),
        ("b", 2),
        ("c", 2),
        ("d", 2),
        ("x", 1),
    ]


def test_only_what_is_refused_is_told_as_refused(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """A document that is there after all is none of those; the message is about the other one, which doesn't fit."""

    def disturb() -> None:
        load(collection, [{"tel": "a", "n": 1}])
        collection.database.command("collMod", collection.name, validator={"n": {"$type": "int"}})

    listener = Sent(disturb)
    with (
        MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched,
        pytest.raises(WriteRefused) as caught,
    ):
        load(watched.reports[collection.name], [{"tel": "a", "n": 2}, {"tel": "b", "n": "one"}])
    assert (caught.value.refused, caught.value.code) == (1, 121)


@pytest.mark.parametrize("is_first", [True, False])
def test_what_no_race_explains_is_not_sent_again(
    mongo_uri: str, collection: Collection[dict[str, Any]], is_first: bool
) -> None:
    """A batch of which a document doesn't fit is sent once: the others are there, and the error tells the one."""
    load(collection, [{"tel": "a", "n": 1}], as_of=AS_OF - timedelta(days=is_first))
    listener = Sent(lambda: collection.database.command("collMod", collection.name, validator={"n": {"$type": "int"}}))
    given = [{"tel": "a", "n": 2}, {"tel": "b", "n": "one"}, {"tel": "c", "n": 3}]
    with (
        MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched,
        pytest.raises(WriteRefused) as caught,
    ):
        load(watched.reports[collection.name], given)
    assert (caught.value.refused, caught.value.code) == (1, 121)
    assert listener.writes == ["insert" if is_first else "update"]
    assert collection.count_documents({"n": {"$gt": 1}}) == 2


def test_a_race_among_other_errors_is_no_mere_race(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Where one document meets another's key and one doesn't fit, both are told, and nothing is sent again."""
    load(collection, [{"tel": tel, "n": n} for n, tel in enumerate("abc")])

    def disturb() -> None:
        collection.insert_one({"n": 70})
        collection.create_index("n", unique=True)
        collection.database.command("collMod", collection.name, validator={"n": {"$type": "int"}})

    listener = Sent(disturb)
    given = [{"tel": "a", "n": 70}, {"tel": "b", "n": "one"}, {"tel": "c", "n": 3}]
    with (
        MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched,
        pytest.raises(WriteRefused) as caught,
    ):
        load(watched.reports[collection.name], given)
    assert caught.value.refused == 2
    assert listener.writes == ["update"]
    assert [found["n"] for found in stored(collection) if "tel" in found] == [0, 1, 3]


def test_a_lost_race_over_what_is_there_is_counted_once(mongo_uri: str, collection: Collection[dict[str, Any]]) -> None:
    """Nine were replaced at once and the tenth by the second send: ten, as many as were given."""
    load(collection, [{"tel": f"{number}", "number": 100 + number} for number in range(10)])
    collection.create_index("number", unique=True)
    collection.insert_one({"tel": "blocks", "number": 0, "blocks": True})
    listener = Unblocks(collection, times=1)
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        given = [{"tel": f"{number}", "number": number} for number in range(10)]
        assert load(watched.reports[collection.name], given) == Written(inserted=0, replaced=10)
    assert listener.written == [9, 1]


def test_what_is_new_and_what_is_replaced_is_both_progress(collection: Collection[dict[str, Any]]) -> None:
    """A load of three documents that are there and of one that isn't is done with four."""
    load(collection, numbered(3, 1))
    retrying = Retrying(collection.full_name, 60)
    target = look(collection, lambda step: step())
    records = [Record(0, {"tel": f"{number:06d}"}, Kind.OK, 1, 1.0, result=1) for number in range(4)]
    with encoded(records, Shape(key=("tel",), as_of=AS_OF, document=parameter_and_result)) as made:
        loading = Loading(
            collection=collection, target=target, documents=made, run="r", retrying=retrying, work=retrying.work
        )
        assert write_all(loading, collection) == Written(inserted=1, replaced=3)
    assert (retrying.work.done, retrying.work.total) == (4, 4)


@pytest.mark.parametrize("blockers", [1, 2])
def test_a_lost_race_is_run_once_more(mongo_uri: str, collection: Collection[dict[str, Any]], blockers: int) -> None:
    """What E11000 has met is sent again, and only that, and is refused when nothing has changed."""
    collection.create_index("number", unique=True)
    collection.insert_many(
        [{"tel": f"blocks {number}", "number": number, "blocks": True} for number in range(blockers)]
    )
    listener = Unblocks(collection, times=1)
    given = [{"tel": f"{number}", "number": number} for number in range(10)]
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        mine = watched.reports[collection.name]
        if blockers == 1:
            assert load(mine, given) == Written(inserted=10, replaced=0)
        else:
            with pytest.raises(WriteRefused) as caught:
                load(mine, given)
            assert (caught.value.refused, caught.value.code) == (1, 11000)
    assert listener.written == ([9, 1] if blockers == 1 else [8, 1, 0])
    assert collection.count_documents({"blocks": {"$exists": False}}) == 11 - blockers


class Holds(CommandListener):
    """Holds each write back until so many are on their way, or a moment has passed; notes what there is meanwhile."""

    def __init__(self, number: int) -> None:
        self._together = threading.Barrier(number)
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.frozen: set[bool] = set()

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in WRITES:
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
                self.frozen.add(gc.get_freeze_count() > 0)
            with suppress(threading.BrokenBarrierError):
                self._together.wait(5)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        if event.command_name in WRITES:
            with self._lock:
                self._now -= 1

    def failed(self, event: object) -> None: ...


def test_the_next_batch_is_on_its_way_while_one_is_written(
    mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """MongoDB never waits for the client, and never has more than two batches at once; all of them count."""
    listener = Holds(AT_ONCE)
    many = [{"tel": f"{number:05d}"} for number in range(4 * BATCH)]
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        assert load(watched.reports[collection.name], many) == Written(inserted=4 * BATCH, replaced=0)
    assert listener.most == AT_ONCE == 2
    assert collection.count_documents({}) == 4 * BATCH


def test_after_a_failure_nothing_is_under_way(collection: Collection[dict[str, Any]]) -> None:
    """Who gets the error may drop the collection: no batch comes late and makes it anew."""
    collection.create_index("n", unique=True)
    collection.insert_one({"n": "one"})
    bad = [{"tel": f"{number:05d}", "n": number or "one"} for number in range(6 * BATCH)]
    with pytest.raises(WriteRefused):
        load(collection, bad)
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("fanout-load")] == []
    assert collection.count_documents({}) < 6 * BATCH - 1


def test_the_garbage_collector_looks_at_a_loads_own_objects_only(
    mongo_uri: str, collection: Collection[dict[str, Any]]
) -> None:
    """What was there before is passed over while a load writes, and no longer."""
    listener = Holds(1)
    with MongoClient[dict[str, Any]](mongo_uri, event_listeners=[listener]) as watched:
        load(watched.reports[collection.name], [{"tel": "a"}])
    assert listener.frozen == {True}
    assert gc.get_freeze_count() == 0


def test_an_encoded_document_is_not_decoded_again() -> None:
    """The driver asks a replacement whether it is empty: the answer is there without looking into it."""
    garbage = b"no fields at all"
    assert Stored((len(garbage) + 5).to_bytes(4, "little") + garbage + b"\0")


def _large(number: int) -> Iterator[Pair]:
    """Yield so many documents of a mebibyte."""
    records = (Record(index, {"tel": str(index)}, Kind.OK, 1, 1.0, result="x" * (1 << 20)) for index in range(number))
    with encoded(records, Shape(key=("tel",), as_of=AS_OF, document=parameter_and_result)) as made:
        yield from made.pairs()
