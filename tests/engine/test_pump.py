"""The pump in this process, over a server in threads beside it: what the tests of the pool say of pools holds here."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.control.breaker import Trip
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.pump import Pump
from airflow_fanout.engine.settlement import Write
from airflow_fanout.engine.transport.by_curl import CurlTransport
from airflow_fanout.engine.transport.by_requests import RequestsTransport
from airflow_fanout.engine.work import WorkQueue
from airflow_fanout.launch.stop_reasons import BreakerTripped, Overtaken, Stopped
from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.model.settings import Breaker, Retry
from tests.engine.harness import ONCE, settings
from tests.http.servers import Server, answer, as_json, redirect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.http.servers import Connection, Seen

# Only what is stuck takes so long.
HANG_S = 60.0
LONGEST_S = 20.0
STOP = Stopped()
ASK = Request(endpoint="/{0}")
COUNT = 1000


class Pumped:
    """A pump over the numbers below `count`, with what it wrote."""

    def __init__(
        self,
        server: Server,
        count: int = COUNT,
        *,
        concurrency: int = 10,
        retry: Retry = ONCE,
        source: Iterable[tuple[int, int]] | None = None,
        write: Write | None = None,
        **more: Any,
    ) -> None:
        self.records: list[Record] = []
        self.notes: list[str] = []
        how = settings(concurrency, retry=retry, **more)
        endpoint = Endpoint(base_url=server.origin, trust_env=False)
        traffic = Traffic(how)
        self.pump = Pump(
            transport=CurlTransport(endpoint, ASK, ("0",), how),
            others=RequestsTransport(FanoutSession(endpoint, how), ASK, ("0",), 10),
            note=self.notes.append,
            work=WorkQueue(iter(source or ((index, index) for index in range(count))), room=traffic.room_for_new),
            traffic=traffic,
            settings=how,
            meter=Meter(total=count, resumed=0),
            write=write or self.records.extend,
            uniform=lambda _, longest: longest,
        )

    def run(self) -> Pumped:
        """Run to the end; a pump that hangs fails the test."""
        with gevent.Timeout(LONGEST_S):
            self.pump.run()
        return self

    @property
    def indexes(self) -> list[int]:
        """The indexes that have a record, sorted."""
        return sorted(record.index for record in self.records)


class Slow:
    """Answers after a while, and counts how many it has at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def __call__(self, seen: Seen, connection: Connection) -> bytes:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        connection.pause(self._seconds)
        with self._lock:
            self._now -= 1
        return as_json(int(seen.path.removeprefix("/")))


def forever(_: Seen, connection: Connection) -> None:
    """Never answer."""
    connection.pause(60)


@pytest.fixture
def quick() -> Iterator[Server]:
    """Give a server that answers at once."""
    with Server(lambda seen, _: as_json(int(seen.path.removeprefix("/")))) as server:
        yield server


@pytest.fixture
def stuck() -> Iterator[Server]:
    """Give a server that never answers."""
    with Server(forever) as server:
        yield server


def test_every_parameter_ends_in_one_record(quick: Server) -> None:
    """Each parameter has its own answer, over no more connections than there are requests at once."""
    found = Pumped(quick).run()
    assert found.indexes == list(range(COUNT))
    assert all(record.result == record.parameter for record in found.records)
    assert len(quick.seen) == COUNT
    assert quick.connections <= 10


def test_concurrency_is_reached_and_never_exceeded() -> None:
    """With enough to do, exactly `concurrency` requests are under way at once, over as many connections."""
    slow = Slow(0.02)
    with Server(slow) as server:
        found = Pumped(server, 300, concurrency=30).run()
    assert len(found.records) == 300
    assert slow.most == 30
    assert server.connections == 30


def test_nothing_stays_open(quick: Server) -> None:
    """However it ends, a pump leaves no descriptor behind."""
    Pumped(quick, 10).run()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a directory of numbers
    Pumped(quick, 100, concurrency=20).run()
    with pytest.raises(OSError, match="no space"):
        Pumped(quick, 100, write=_no_space).run()
    # The server's own ends are descriptors of this process, too: they close when their threads see it.
    deadline = time.monotonic() + 5
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:  # noqa: PTH208
        gevent.sleep(0.02)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


def _no_space(_: Sequence[Record]) -> None:
    raise OSError("no space left on device")


def test_list_that_breaks_is_an_error(quick: Server) -> None:
    """When the list can't be read on, the pump ends with the reason."""

    def source() -> Iterator[tuple[int, int]]:
        yield from ((index, index) for index in range(4))
        raise OSError("the list is cut")

    with pytest.raises(OSError, match="the list is cut"):
        Pumped(quick, source=source(), concurrency=1).run()


def test_fault_while_a_redirect_is_followed_is_an_error() -> None:
    """A record that can't be written after a redirect ends the pump, too."""
    with (
        Server(lambda seen, _: as_json(1) if seen.path == "/end" else redirect("/end")) as server,
        pytest.raises(OSError, match="no space"),
    ):
        Pumped(server, 10, write=_no_space).run()


def test_retries_do_not_hold_a_handle(quick: Server) -> None:
    """While one parameter waits for its retry, the only handle goes on with the others."""
    failed: list[str] = []

    def once(seen: Seen, _: Connection) -> bytes:
        if seen.path == "/0" and not failed:
            failed.append(seen.path)
            return answer(b"", "503 Service Unavailable")
        return as_json(1)

    with Server(once) as server:
        found = Pumped(
            server, 20, concurrency=1, retry=Retry(max_attempts=2, initial_delay_s=0.5, last_pass=False)
        ).run()
    assert [record.index for record in found.records] == [*range(1, 20), 0]
    assert found.records[-1].attempts == 2


def test_last_pass_asks_once_more() -> None:
    """What has failed in all its attempts is asked for once more at the end."""
    asked: list[str] = []

    def flaky(seen: Seen, _: Connection) -> bytes:
        asked.append(seen.path)
        return as_json(1) if seen.path != "/0" or asked.count("/0") == 3 else answer(b"", "500 Sorry")

    with Server(flaky) as server:
        found = Pumped(server, 10, concurrency=1, retry=Retry(max_attempts=2, initial_delay_s=0.001)).run()
    assert asked[-1] == "/0"
    assert {record.index: record.attempts for record in found.records if record.attempts > 1} == {0: 3}
    assert {record.kind for record in found.records} == {Kind.OK}


def test_rate_is_kept(quick: Server) -> None:
    """A rate of the author's holds the pump back, without anything under way to wake it."""
    from airflow_fanout.model.settings import Throttle

    begun = time.monotonic()
    Pumped(quick, 20, throttle=Throttle(adaptive=False, rate_per_s=40)).run()
    assert time.monotonic() - begun >= 0.35


def test_stop_lets_requests_in_flight_end() -> None:
    """A stop begins nothing new, and what ends within the grace has its record."""
    with Server(Slow(0.3)) as server:
        found = Pumped(server, 100, concurrency=5)
        running = gevent.spawn(found.pump.run)
        gevent.sleep(0.1)
        found.pump.stop(STOP, grace_s=HANG_S)
        running.get(timeout=HANG_S)
    assert found.indexes == [0, 1, 2, 3, 4]
    assert len(server.seen) == 5


def test_stop_gives_up_what_takes_too_long(stuck: Server) -> None:
    """What is under way after the grace is given up: it has no record."""
    found = Pumped(stuck, 100, concurrency=5)
    running = gevent.spawn(found.pump.run)
    gevent.sleep(0.1)
    assert found.pump.progress().in_flight == 5
    found.pump.stop(STOP, grace_s=0.1)
    found.pump.stop(Overtaken())
    running.get(timeout=HANG_S)
    assert (found.records, found.pump.stop_reason) == ([], STOP)


def test_pump_that_is_killed_lets_go(stuck: Server) -> None:
    """A pump whose greenlet is killed closes its connections at once."""
    found = Pumped(stuck, 100)
    running = gevent.spawn(found.pump.run)
    gevent.sleep(0.1)
    running.kill(timeout=HANG_S)
    assert running.dead
    assert found.records == []


def test_canary_that_fails_ends_the_pump() -> None:
    """A wrong endpoint costs as many requests as the canary is long, not one more."""
    with Server(lambda *_: answer(b"", "404 Not Found")) as server:
        found = Pumped(server, concurrency=100, breaker=Breaker(canary=30)).run()
    assert len(server.seen) == len(found.records) == 30
    finding = Trip(sample=30, failed=30, cause=Kind.HTTP_ERROR, status=404, of_cause=30, transient=False)
    assert found.pump.stop_reason == BreakerTripped(finding)


def test_other_greenlets_have_their_turn(quick: Server) -> None:
    """Under full load a greenlet that wants to be woken each hundredth of a second is."""
    late: list[float] = []

    def watch() -> None:
        while True:
            begun = time.monotonic()
            gevent.sleep(0.01)
            late.append(time.monotonic() - begun - 0.01)

    watcher = gevent.spawn(watch)
    Pumped(quick, concurrency=50).run()
    watcher.kill()
    # It would be woken once, after the last of them.
    assert len(late) > 2


def test_parameters_that_cannot_be_sent(quick: Server) -> None:
    """A list of nothing but parameters that can't be sent comes to its end."""
    found = Pumped(quick, source=[(index, ".." if index % 2 else "") for index in range(300)]).run()  # type: ignore[misc]
    assert {record.kind for record in found.records} == {Kind.ERROR}
    assert len(found.records) == 300
    assert quick.seen == []
