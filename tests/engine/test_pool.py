from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import gevent
import pytest

from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.pool import Pool
from airflow_fanout.engine.transport.scripted import ScriptedTransport
from airflow_fanout.engine.work import Work
from airflow_fanout.outcome import Kind, Outcome, Record
from airflow_fanout.settings import Retry
from tests.engine.harness import ONCE, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_fanout.codec import Json

LONGEST_S = 10.0
KINDS = [kind for kind in Kind if kind is not Kind.NOT_TRIED]


class Fetched:
    """A pool over the numbers below `count`, with what it wrote."""

    def __init__(self, transport: ScriptedTransport, count: int, *, concurrency: int = 10, retry: Retry = ONCE) -> None:
        self.records: list[Record] = []
        self.work = Work((index, index) for index in range(count))
        self.pool = Pool(
            work=self.work,
            transport=transport,
            settings=settings(concurrency, retry=retry),
            meter=Meter(total=count, resumed=0),
            write=self.records.append,
            uniform=lambda _, longest: longest,
        )

    def run(self) -> Fetched:
        """Run to the end; a pool that hangs fails the test."""
        with gevent.Timeout(LONGEST_S):
            self.pool.run()
        return self

    @property
    def indexes(self) -> list[int]:
        """The indexes that have a record, sorted."""
        return sorted(record.index for record in self.records)


def of_kind(kind: Kind) -> Callable[[Json, int], Outcome]:
    """Return a script that always gives the same kind."""
    return lambda _, __: Outcome(kind)


@pytest.mark.parametrize("seed", range(5))
def test_every_parameter_ends_in_one_record(seed: int) -> None:
    """Whatever outcomes a transport gives, in whatever order, each parameter ends in exactly one record."""
    chance = random.Random(seed)

    def answer(_: Json, __: int) -> Outcome:
        gevent.sleep(chance.random() * 0.005)
        return Outcome(chance.choice(KINDS), status=500)

    retry = Retry(attempts=4, base_s=0.002, cap_s=0.004)
    transport = ScriptedTransport(answer)
    found = Fetched(transport, 300, concurrency=17, retry=retry).run()
    assert found.indexes == list(range(300))
    assert found.pool.progress().kinds == Counter(record.outcome.kind for record in found.records)
    assert {record.parameter: record.attempts for record in found.records} == {
        int(name): asked for name, asked in transport.asked.items()
    }


def test_concurrency_is_reached_and_never_exceeded() -> None:
    """With enough to do, exactly `concurrency` requests are under way at once."""
    transport = ScriptedTransport(latency_s=0.005)
    found = Fetched(transport, 200, concurrency=20).run()
    assert transport.most_in_flight == 20
    assert len(found.records) == 200


def test_more_workers_than_parameters() -> None:
    """A hundred workers and three parameters: three records, and the end."""
    assert Fetched(ScriptedTransport(latency_s=0.01), 3, concurrency=100).run().indexes == [0, 1, 2]


def test_no_parameters() -> None:
    """An empty range is done at once."""
    assert Fetched(ScriptedTransport(), 0).run().records == []


def test_waiting_for_a_retry_occupies_no_worker() -> None:
    """With one worker, parameters that wait for their retry let all others pass."""
    order: list[tuple[int, int]] = []

    def answer(parameter: Json, time: int) -> Outcome:
        order.append((parameter, time))
        return Outcome(Kind.TIMEOUT if parameter < 2 and time == 1 else Kind.OK)

    Fetched(ScriptedTransport(answer), 5, concurrency=1, retry=Retry(attempts=2, base_s=0.05)).run()
    assert order == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (0, 2), (1, 2)]


def test_attempts_have_an_end() -> None:
    """What fails always is tried `attempts` times, and its record says so."""
    transport = ScriptedTransport(of_kind(Kind.CONNECTION_ERROR))
    found = Fetched(transport, 2, retry=Retry(attempts=3, base_s=0.001)).run()
    assert [record.attempts for record in found.records] == [3, 3]
    assert transport.asked == {"0": 3, "1": 3}
    assert found.pool.progress().requests == 6


def test_what_the_server_asks_for_is_waited() -> None:
    """The wait that a server asks for comes on top of the policy's own."""
    times: list[float] = []

    def answer(_: Json, time_: int) -> Outcome:
        times.append(time.monotonic())
        return Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=0.2) if time_ == 1 else Outcome(Kind.OK)

    Fetched(ScriptedTransport(answer), 1, retry=Retry(attempts=2, base_s=0.1)).run()
    assert times[1] - times[0] == pytest.approx(0.3, abs=0.05)


def test_crashed_worker_is_an_error() -> None:
    """A fault of the engine's own ends the pool with that fault, at once, also while other requests hang."""

    def answer(parameter: Json, _: int) -> Outcome:
        if parameter == 3:
            raise ZeroDivisionError("a fault in the transport")
        gevent.sleep(60)
        return Outcome(Kind.OK)

    with pytest.raises(ZeroDivisionError, match="a fault in the transport"):
        Fetched(ScriptedTransport(answer), 10).run()


@pytest.mark.parametrize("clings", [False, True])
def test_crashed_worker_is_an_error_whatever_the_others_do(clings: bool) -> None:
    """A function that swallows its own end, once or for ever, neither hides the error nor leaves a record."""

    def answer(parameter: Json, _: int) -> Outcome:
        if parameter == 3:
            raise ZeroDivisionError("a fault in the transport")
        for _ in range(1000 if clings else 1):
            with suppress(BaseException):  # the bare `except: pass` of many a script
                gevent.sleep(60)
        return Outcome(Kind.OK, result="a value of last resort")

    found = Fetched(ScriptedTransport(answer), 100)
    with pytest.raises(ZeroDivisionError, match="a fault in the transport"):
        found.run()
    assert found.records == []


def test_journal_that_cannot_be_written_is_an_error() -> None:
    """When a record can't be written, the pool ends with the reason instead of losing outcomes."""

    def write(_: Record) -> None:
        raise OSError("no space left on device")

    pool = Pool(
        work=Work((index, index) for index in range(5)),
        transport=ScriptedTransport(),
        settings=settings(2),
        meter=Meter(total=5, resumed=0),
        write=write,
    )
    with gevent.Timeout(LONGEST_S), pytest.raises(OSError, match="no space left"):
        pool.run()


def test_list_that_breaks_is_an_error() -> None:
    """When the list can't be read on, the pool ends with the reason; what was fetched has its records."""

    def source() -> Iterator[tuple[int, int]]:
        yield from ((index, index) for index in range(4))
        raise OSError("the list is cut")

    records: list[Record] = []
    pool = Pool(
        work=Work(source()),
        transport=ScriptedTransport(),
        settings=settings(1),
        meter=Meter(total=9, resumed=0),
        write=records.append,
    )
    with gevent.Timeout(LONGEST_S), pytest.raises(OSError, match="the list is cut"):
        pool.run()
    assert [record.index for record in records] == [0, 1, 2, 3]


def test_stop_lets_requests_in_flight_end() -> None:
    """A stop begins nothing new, and what ends within the grace has its record."""
    transport = ScriptedTransport(latency_s=0.1)
    found = Fetched(transport, 100, concurrency=5)
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.02)
    found.pool.stop(grace_s=2.0)
    running.get(timeout=1)
    assert found.indexes == [0, 1, 2, 3, 4]
    assert sum(transport.asked.values()) == 5


def test_stop_gives_up_what_takes_too_long() -> None:
    """What is under way after the grace is given up: it has no record, and a later try asks for it again."""

    def answer(parameter: Json, _: int) -> Outcome:
        gevent.sleep(60 if parameter == 1 else 0.01)
        return Outcome(Kind.OK)

    found = Fetched(ScriptedTransport(answer), 2)
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.05)
    begun = time.monotonic()
    found.pool.stop(grace_s=0.1)
    running.get(timeout=1)
    assert time.monotonic() - begun < 1
    assert found.indexes == [0]


def test_stop_takes_no_values_of_last_resort() -> None:
    """What a function makes of its own end is no result: the parameter has no record."""

    def answer(_: Json, __: int) -> Outcome:
        try:
            gevent.sleep(60)
        except BaseException:  # noqa: BLE001 - as in an author's script
            return Outcome(Kind.OK, result=[])
        return Outcome(Kind.OK)

    found = Fetched(ScriptedTransport(answer), 20)
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.02)
    found.pool.stop(grace_s=0)
    running.get(timeout=1)
    assert found.records == []


def test_stop_does_not_wait_for_retries() -> None:
    """A server that fails all the time doesn't hold up a stop: nothing is tried again."""
    transport = ScriptedTransport(of_kind(Kind.TIMEOUT), latency_s=0.01)
    found = Fetched(transport, 10, retry=Retry(attempts=9, base_s=0.5))
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.05)
    assert found.pool.progress().waiting == 10
    found.pool.stop(grace_s=5.0)
    running.get(timeout=0.2)
    assert found.records == []


def test_progress_shows_the_moment() -> None:
    """While it runs, a pool tells what is under way, what waits and what has ended."""

    def answer(parameter: Json, _: int) -> Outcome:
        if parameter == 0:
            gevent.sleep(60)
        return Outcome(Kind.TIMEOUT if parameter == 1 else Kind.OK)

    found = Fetched(ScriptedTransport(answer), 5, retry=Retry(attempts=2, base_s=30))
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.05)
    seen = found.pool.progress()
    found.pool.stop(grace_s=0)
    running.get(timeout=1)
    assert (seen.total, seen.done, seen.in_flight, seen.waiting, seen.requests) == (5, 3, 1, 1, 4)
