"""What is an object storage's own: lost answers, several writers, locks, and what the cleaning lists."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_fanout import codec
from airflow_fanout.staging import layout, object_layout, object_store, objects
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.errors import StorageMissing
from airflow_fanout.staging.leftovers import Leftovers
from airflow_fanout.staging.object_store import ObjectStore
from airflow_fanout.staging.objects import Objects
from airflow_fanout.staging.store import Location, Taken
from airflow_fanout.staging.versions import KEPT, Register, Versions
from harness.s3 import S3Server
from tests.staging.objects import AtomicMemory, memory_store, new_prefix, s3_store, store_in

FAILURES = layout.failures("a")


class Forgetful(AtomicMemory):
    """A storage whose answers to every second write get lost after it was done."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        super().pipe_file(path, value, mode=mode, **kwargs)
        self.writes += 1
        if self.writes % 2:
            raise ConnectionResetError(errno.ECONNRESET, "the answer is lost")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PAUSES_S", (0.0,))
    monkeypatch.setattr(object_store, "LOOK_AGAIN_S", 0.01)


@pytest.fixture
def forgetful() -> ObjectStore:
    """A store whose storage loses answers."""
    return store_in(Forgetful())


def test_a_lost_answer_to_a_creation_is_none_that_another_one_has_won(forgetful: ObjectStore) -> None:
    """What is there is looked at: one's own claim is one's own, and somebody else's object is somebody else's."""
    for number in range(1, 5):
        assert Location(forgetful, "a/b/c").claim_next("list") == number
        forgetful.create(f"x/{number}", b"mine")
        with pytest.raises(Taken):
            forgetful.create(f"x/{number}", b"another one's")
        assert Location(forgetful, f"x/{number}").content() == b"mine"


def test_lost_answers_lose_and_double_nothing_that_several_write(forgetful: ObjectStore) -> None:
    """Each line is appended once, and each failure is taken by one."""
    history = layout.history("a/run/calls/list-0001")
    for number in range(40):
        forgetful.append(history, b"%d\n" % number)
    assert Location(forgetful, history).content().split() == [b"%d" % number for number in range(40)]
    for number in range(10):
        forgetful.create(f"{FAILURES}/{number}.json", b"{}")
    taken = []
    for number in range(10):
        forgetful.delete(f"{FAILURES}/{number}.json")
        taken.append(number)
        with pytest.raises(FileNotFoundError):
            forgetful.delete(f"{FAILURES}/{number}.json")
    assert (taken, forgetful.names(FAILURES)) == (list(range(10)), [])


def test_of_several_stores_that_take_a_failure_one_hears_that_it_was_there(s3: S3Server) -> None:
    """Each has what it has read before, as tasks on several machines have."""
    first = s3_store(s3)
    stores = [first, *(ObjectStore(first.objects) for _ in range(3))]
    for store in stores:
        assert store.names(FAILURES) == []
    first.create(f"{FAILURES}/b.json", b"{}")

    def takes(store: ObjectStore) -> bool:
        try:
            store.delete(f"{FAILURES}/b.json")
        except FileNotFoundError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(takes, stores)) == [False, False, False, True]


def test_several_writers_lose_nothing_of_each_other(s3: S3Server) -> None:
    """Nor does one that knows an old version only."""
    first = s3_store(s3)
    stores = [first, *(ObjectStore(first.objects) for _ in range(3))]

    def write(writer: int) -> None:
        for number in range(6):
            stores[writer].create(f"{FAILURES}/{writer}-{number}.json", b"{}")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert sorted(first.names(FAILURES)) == [f"{writer}-{number}.json" for writer in range(4) for number in range(6)]


def test_versions_are_found_however_old_the_number_is_that_says_where_they_are() -> None:
    """A writer may write that number late; old versions are removed, the newest one never."""
    store = memory_store()
    versions = Versions(store.objects, "a")
    for number in range(1, 3 * KEPT):
        versions.change(lambda content: content + b".")
        assert Versions(store.objects, "a").newest() == (number, b"." * number)
    kept = [name for name in store.objects.listed("a") if name.endswith(tuple("0123456789"))]
    assert len(kept) <= 2 * KEPT
    for late in range(2 * KEPT - 1, 3 * KEPT):
        store.objects.put(object_layout.newest_version("a"), b"%d" % late)
        assert Versions(store.objects, "a").newest() == (3 * KEPT - 1, b"." * (3 * KEPT - 1))
    store.objects.delete([object_layout.newest_version("a")])
    store.objects.put(object_layout.newest_version("a"), b"%d" % KEPT)
    assert Versions(store.objects, "a").newest()[0] == 3 * KEPT - 1


def test_a_register_that_nobody_can_read_has_no_names() -> None:
    """Whoever has written into it, the tasks go on."""
    store = memory_store()
    Versions(store.objects, "a").change(lambda _: b"no JSON")
    register = Register(Versions(store.objects, "a"))
    assert register.names() == []
    register.add("b")
    assert register.names() == ["b"]


def test_a_lock_is_one_holders_at_a_time_and_ends_with_it() -> None:
    """The next one comes when it is free; one whose holder has died is taken over in time."""
    store, order, inside = memory_store(), [], threading.Event()

    def second() -> None:
        with ObjectStore(store.objects).locked(".locks/token", 60.0):
            order.append("second")

    with store.locked(".locks/token", 1.0):
        thread = threading.Thread(target=second)
        thread.start()
        with pytest.raises(TimeoutError), ObjectStore(store.objects).locked(".locks/token", 0.0):
            inside.set()
        order.append("first")
    thread.join()
    assert (order, inside.is_set()) == (["first", "second"], False)


def test_a_lock_of_a_holder_that_has_died_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one: it hasn't changed for so long."""
    store = memory_store()
    dead = store.locked(".locks/token", 0.0)
    dead.__enter__()
    monkeypatch.setattr(object_store, "ABANDONED_S", 0.05)
    with ObjectStore(store.objects).locked(".locks/token", 60.0):
        pass
    # Should it wake up again, it takes nobody's lock away.
    with ObjectStore(store.objects).locked(".locks/token", 60.0):
        dead.__exit__(None, None, None)
        monkeypatch.setattr(object_store, "ABANDONED_S", 3_600.0)
        with pytest.raises(TimeoutError), ObjectStore(store.objects).locked(".locks/token", 0.0):
            pass


@pytest.mark.parametrize("size", [0, 1, 8 << 20, (8 << 20) + 1, 33 << 20])
def test_an_object_of_any_size_is_read_whole(s3: S3Server, size: int) -> None:
    """Also an empty one, one that fills its chunks, and one that is put in several requests."""
    store = s3_store(s3)
    place = Location(store, "a/r/c/list-0001/parameters.jsonl.zst")
    growing = place.begin()
    for _ in range(size >> 20):
        growing.write(b"x" * (1 << 20))
    growing.write(b"y" * (size & ((1 << 20) - 1)))
    growing.close()
    assert (place.size(), sum(map(len, place.read())), place.is_there()) == (size, size, True)
    assert [len(chunk) for chunk in place.read(1)] == [min(size, 1)]


@pytest.mark.parametrize(
    ("state", "kind", "code"), [("away", OSError, errno.EBUSY), ("denied", PermissionError, errno.EACCES)]
)
def test_errors_name_the_address(s3: S3Server, state: str, kind: type[OSError], code: int) -> None:
    """And are the operating system's, as a folder's are."""
    store = s3_store(s3)
    store.objects.files.retries = 1  # type: ignore[attr-defined] # s3fs's
    verbs: list[Callable[[], object]] = [
        lambda: store.put_whole("a/b", b""),
        lambda: store.create("a/b", b""),
        lambda: list(store.read("a/b")),
        lambda: store.is_there("a/b"),
        lambda: store.sizes(["a/b"]),
        lambda: store.names("a"),
    ]
    s3.tell(state)
    try:
        for verb in verbs:
            with pytest.raises(kind) as caught:
                verb()
            assert caught.value.errno == code
            assert str(caught.value.filename).startswith(f"{store.address('')}")
    finally:
        s3.tell("back")


def test_a_bucket_that_is_not_there_is_named(s3: S3Server) -> None:
    """Nothing is made of it: neither a bucket, nor an object that seems to be missing."""
    store = s3_store(s3)
    missing = ObjectStore(Objects(store.objects.files, f"nowhere/{new_prefix()}", "s3://nowhere/x"))
    for verb in (missing.put_whole, missing.create):
        with pytest.raises(StorageMissing, match="s3://nowhere/x, isn't there"):
            verb("a/b", b"")


def staged(store: ObjectStore, run_id: str, shards: int) -> None:
    """Stage what a run of several shards has."""
    report = ReportDirectory.of(store, dag_id="report", run_id=run_id, report="calls")
    directory = report.new_list()
    directory.manifest.put_whole(b"{}")
    directory.parameters.put_whole(b"x")
    for number in range(shards):
        attempt = directory.shard(number).generation(1).new_try()
        attempt.part(0).create(b"part %d" % number)
        directory.shard(number).progress.put_whole(b"{}")


def cleaned(store: ObjectStore, s3: S3Server, runs: int) -> int:
    """Clean a store of its runs; return how many listings that has taken."""
    s3.tell("forget")
    left, sizes = Leftovers(), []
    for run in store.runs(left):
        assert run.changed() > 0
        sizes.append((run.size(), run.remove()))
    assert (len(sizes), left, list(store.runs(left))) == (runs, [], [])
    assert all(size == removed > 0 for size, removed in sizes)
    listings = s3.counted().get("LIST", 0)
    assert store.objects.listed("report").keys() <= {
        object_layout.newest_version("report"),
        *(object_layout.version("report", number) for number in range(1, 4 * runs)),
    }
    return listings


def test_the_cleaning_lists_each_run_once(s3: S3Server) -> None:
    """It removes all of it, and finds runs without any listing."""
    store = s3_store(s3)
    for number in range(4):
        staged(store, f"run {number}", 3)
    assert s3.counted()["PUT"] > 0
    assert cleaned(store, s3, 4) <= 4


@pytest.mark.long
def test_the_cleaning_of_two_hundred_runs_of_eight_shards_lists_each_run_once(s3: S3Server) -> None:
    """Whatever the number."""
    store = s3_store(s3)
    staged(store, "first", 8)
    contents = {key: store.objects.content(key) or b"" for key in store.objects.listed("report/first")}
    for number in range(199):
        for key, content in contents.items():
            store.objects.put(key.replace("report/first/", f"report/run {number}/"), content)
    names = ["first", *(f"run {number}" for number in range(199))]
    Versions(store.objects, "report").change(lambda _: codec.encode(names))
    assert cleaned(store, s3, 200) <= 200


def test_a_cleaning_that_was_interrupted_goes_on(s3: S3Server) -> None:
    """The run is still found, and a task finds no list in it."""
    store = s3_store(s3)
    staged(store, "run", 2)
    [run] = store.runs(Leftovers())
    size = run.size()
    store.objects.delete([key for key in store.objects.listed("report/run") if key.endswith("manifest.json")])
    [again] = store.runs(Leftovers())
    assert 0 < again.remove() < size
    assert list(store.runs(Leftovers())) == []
    assert store.objects.listed("report/run") == {}


@pytest.fixture(autouse=True)
def _back(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "s3" in request.fixturenames:
        request.getfixturevalue("s3").tell("back")
