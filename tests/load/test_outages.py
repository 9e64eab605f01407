"""Servers that fall over in the middle of a load: real ones, killed or told to step down."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psutil
import pytest
from pymongo import InsertOne, MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from airflow_fanout.mongo.errors import MongoUnreachable
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.write import MODES
from harness.mongod import Mongod, ReplicaSet
from tests.forwarder import HOST, Forwarder
from tests.load.loads import WRITES, Document, load, numbered, state, temporary

if TYPE_CHECKING:
    from pymongo.collection import Collection

pytestmark = pytest.mark.slow
# What waits without a limit takes longer; the limits are tested in a time of the test's own, in test_patience.py.
HANG_S = 120.0
COUNT = 8000
# Only an operation opens a connection then: the driver looks at the server when it begins, and no more.
NO_CONNECTIONS_OF_THE_DRIVERS_OWN = {"serverMonitoringMode": "poll", "heartbeatFrequencyMS": 600_000}
MODE = pytest.mark.parametrize("mode", sorted(MODES))


class Nth(CommandListener):
    """Does something in a thread when the n-th command of a name is about to be sent; notes who is sent commands."""

    def __init__(
        self, commands: Iterable[str], at: set[int], act: Callable[[], object], *, first: bool = False
    ) -> None:
        self._commands, self._at, self._act = frozenset(commands), at, act
        self._first = first
        self._count = 0
        self._threads = ThreadPoolExecutor(1)
        self.acts: list[Any] = []
        self.servers: set[object] = set()

    def started(self, event: CommandStartedEvent) -> None:
        self.servers.add(event.connection_id)
        if event.command_name in self._commands:
            self._count += 1
            if self._count in self._at:
                self.acts.append(self._threads.submit(self._act))
                if self._first:
                    self.acts[-1].result()

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...

    def settle(self) -> int:
        """Wait for all that was done; return how often that was."""
        for act in self.acts:
            act.result()
        self._threads.shutdown()
        return len(self.acts)


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    """Three members."""
    with ReplicaSet.start(tmp_path_factory.mktemp("replica-set")) as running:
        yield running


def kill_and_start_again(replica_set: ReplicaSet) -> None:
    """Kill the primary; bring it back when there is another one."""
    dead = replica_set.primary()
    dead.kill()
    replica_set.primary()
    replica_set.start_again(dead)


def expected(mode: str) -> set[tuple[str, int]]:
    """Return keys and versions after a load over an older one that had other keys, too."""
    new = {(f"{number:06d}", 2) for number in range(COUNT)}
    return new | {(f"{number:06d}", 1) for number in range(COUNT, COUNT + 500)} if mode == "upsert" else new


def load_over(uri: str, mode: str, listener: Nth, *, retry_writes: bool = True) -> float:
    """Load over an older run while the listener disturbs; check the documents; return the seconds."""
    name = f"test_{uuid4().hex}"
    with MongoClient[Document](uri) as client:
        load(client.reports[name], numbered(1000, 1, first=COUNT - 500))
    with MongoClient[Document](uri, event_listeners=[listener], retryWrites=retry_writes) as client:
        begun = time.monotonic()
        # An election takes as long as it takes on a busy machine.
        written = load(client.reports[name], numbered(COUNT, 2), mode=mode, timeout_s=600)
        seconds = time.monotonic() - begun
        assert listener.settle() > 0
        assert len(listener.servers) > 1, "it was over before the primary was gone"
        assert written.confirmed == COUNT
        assert {(tel, v) for _, tel, v in state(client.reports[name])} == expected(mode)
        assert temporary(client.reports[name]) == []
    return seconds


@MODE
@pytest.mark.parametrize("retry_writes", [True, False], ids=["driver-retries", "driver-does-not"])
def test_a_primary_that_steps_down_is_survived(replica_set: ReplicaSet, mode: str, retry_writes: bool) -> None:
    """In the middle of a load the primary steps down: the load ends complete on the next one."""
    listener = Nth(WRITES, {4}, replica_set.step_down, first=True)
    seconds = load_over(replica_set.uri, mode, listener, retry_writes=retry_writes)
    print(f"{mode}: {COUNT} documents in {seconds:.1f} s with a step down")


@MODE
def test_a_primary_that_is_killed_is_survived(replica_set: ReplicaSet, mode: str) -> None:
    """SIGKILL of the primary in the middle of a load loses nothing that was confirmed, and doubles nothing."""
    listener = Nth(WRITES, {2}, lambda: kill_and_start_again(replica_set))
    seconds = load_over(replica_set.uri, mode, listener)
    print(f"{mode}: {COUNT} documents in {seconds:.1f} s with a killed primary")


@pytest.mark.parametrize(
    ("mode", "command"),
    [("replace_run", "delete"), ("replace_run", "find"), ("swap", "renameCollection"), ("swap", "createIndexes")],
)
def test_each_other_step_survives_the_primarys_death(replica_set: ReplicaSet, mode: str, command: str) -> None:
    """Not only the batches: reading, removing, making indexes and renaming are repeated, too."""
    dead: list[Mongod] = []

    def kill() -> None:
        dead.append(replica_set.primary())
        dead[0].kill()

    # Dead before the command is sent: what comes last in a load would be over otherwise.
    listener = Nth({command}, {1}, kill, first=True)
    try:
        load_over(replica_set.uri, mode, listener)
    finally:
        for member in dead:
            replica_set.start_again(member)


@MODE
def test_a_mongodb_that_is_gone_is_told_in_time_and_the_next_try_completes(tmp_path: Path, mode: str) -> None:
    """The error names the address and comes within the retrying; after the cause is gone, nothing is missing."""
    server = Mongod.start(tmp_path)
    port = server.port
    try:
        listener = Nth(WRITES, {4}, server.kill)
        with MongoClient[Document](server.uri, event_listeners=[listener]) as client:
            collection = client.reports.calls
            begun = time.monotonic()
            with pytest.raises(MongoUnreachable, match=rf"127\.0\.0\.1:{port}") as caught:
                load(collection, numbered(COUNT, 2), mode=mode, timeout_s=3.0)
            assert time.monotonic() - begun < HANG_S
            assert caught.value.retry
            listener.settle()
            server = Mongod.start(tmp_path, port)
            assert load(collection, numbered(COUNT, 2), mode=mode).confirmed == COUNT
            assert {(tel, v) for _, tel, v in state(collection)} == {(f"{number:06d}", 2) for number in range(COUNT)}
            assert temporary(collection) == []
    finally:
        server.stop()


def test_a_server_that_is_back_within_the_patience_is_waited_for(tmp_path: Path) -> None:
    """A restart of a single server in the middle of a load is no failure."""
    servers = [Mongod.start(tmp_path)]

    def restart() -> None:
        servers[-1].kill()
        time.sleep(1)
        servers.append(Mongod.start(tmp_path, servers[-1].port))

    try:
        listener = Nth(WRITES, {3, 6}, restart)
        with MongoClient[Document](servers[0].uri, event_listeners=[listener]) as client:
            collection: Collection[Document] = client.reports.calls
            assert load(collection, numbered(COUNT, 1)).confirmed == COUNT
            assert listener.settle() == 2
            assert collection.count_documents({}) == COUNT
    finally:
        servers[-1].stop()


def test_a_connection_that_could_not_be_opened_is_no_failure(tmp_path: Path) -> None:
    """PyMongo takes a single server for a replica set after that, once: the server refuses, and nothing is written."""
    is_busy = Event()
    listener = Nth({"find"}, {1}, is_busy.set)
    with (
        Mongod.start(tmp_path) as server,
        Forwarder(server.port).open() as way,
        MongoClient[Document](
            f"mongodb://{HOST}:{way.port}", event_listeners=[listener], **NO_CONNECTIONS_OF_THE_DRIVERS_OWN
        ) as client,
    ):
        collection = client.reports.calls
        collection.insert_one({"tel": "asked"})
        # The only open connection is in use, so that a write opens another.
        asking = Thread(target=lambda: list(collection.find({"$where": "sleep(2000) || true"})))
        asking.start()
        assert is_busy.wait(HANG_S)
        way.reset_next()
        written = Retrying("reports.calls", 60).run(lambda: collection.bulk_write([InsertOne({"tel": "written"})]))
        asking.join()
        assert written.inserted_count == 1
        assert sorted(found["tel"] for found in collection.find()) == ["asked", "written"]
    assert listener.settle() == 1


def test_a_server_that_hangs_is_given_up(tmp_path: Path) -> None:
    """A server that takes a batch and never answers is no reason to wait for ever."""
    with Mongod.start(tmp_path) as server:
        process = psutil.Process(server.pid)
        listener = Nth(WRITES, {3}, process.suspend)
        with MongoClient[Document](server.uri, event_listeners=[listener]) as client:
            begun = time.monotonic()
            try:
                with pytest.raises(MongoUnreachable, match="tried for 2 s"):
                    load(client.reports.calls, numbered(COUNT, 1), timeout_s=2.0)
            finally:
                process.send_signal(signal.SIGCONT)
            assert time.monotonic() - begun < HANG_S
