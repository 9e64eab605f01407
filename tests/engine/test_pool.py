from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from airflow_fanout.control.breaker import FIRST_FAILURES, Trip
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.pool import Pool
from airflow_fanout.engine.transport.scripted import ScriptedTransport
from airflow_fanout.engine.work import WorkQueue
from airflow_fanout.launch.stop_reasons import (
    BreakerTripped,
    LongOutage,
    LongPause,
    Overtaken,
    StartupFailed,
    Stopped,
    StopReason,
)
from airflow_fanout.model.outcome import Cause, Failure, Kind, Outcome, Record
from airflow_fanout.model.settings import Breaker, Retry
from tests.engine.harness import ONCE, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_fanout.codec import Json
    from airflow_fanout.engine.transport import Transport

# Only what is stuck takes so long.
HANG_S = 60.0
LONGEST_S = 10.0
STOP = Stopped()
KINDS = [kind for kind in Kind if kind is not Kind.NOT_TRIED]


class Fetched:
    """A pool over the numbers below `count`, with what it wrote."""

    def __init__(
        self, transport: Transport, count: int, *, concurrency: int = 10, retry: Retry = ONCE, **more: Any
    ) -> None:
        self.records: list[Record] = []
        how = settings(concurrency, retry=retry, **more)
        traffic = Traffic(how)
        self.work = WorkQueue(((index, index) for index in range(count)), room=traffic.room_for_new)
        self.pool = Pool(
            work=self.work,
            traffic=traffic,
            transport=transport,
            settings=how,
            meter=Meter(total=count, resumed=0),
            write=self.records.extend,
            uniform=lambda _, longest: longest,
        )

    def run(self) -> Fetched:
        """Run to the end; a pool that hangs fails the test."""
        with gevent.Timeout(LONGEST_S):
            self.pool.run()
        return self

    def run_ticking(self) -> Fetched:
        """Run to the end, looking each hundredth of a second at what time brings about."""

        def tick() -> None:
            while True:
                gevent.sleep(0.01)
                self.pool.tick()

        ticker = gevent.spawn(tick)
        try:
            return self.run()
        finally:
            ticker.kill()

    @property
    def stopped(self) -> StopReason:
        """Why it stopped before its end."""
        assert self.pool.stop_reason is not None
        return self.pool.stop_reason

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

    retry = Retry(max_attempts=4, initial_delay_s=0.002, max_delay_s=0.004, last_pass=False)
    transport = ScriptedTransport(answer)
    found = Fetched(transport, 300, concurrency=17, retry=retry).run()
    assert found.indexes == list(range(300))
    assert found.pool.progress().kinds == Counter(record.kind for record in found.records)
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

    Fetched(
        ScriptedTransport(answer), 5, concurrency=1, retry=Retry(max_attempts=2, initial_delay_s=0.05, last_pass=False)
    ).run()
    assert order == [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (0, 2), (1, 2)]


def test_attempts_have_an_end() -> None:
    """What fails always is tried `attempts` times, and its record says so."""
    transport = ScriptedTransport(of_kind(Kind.CONNECTION_ERROR))
    found = Fetched(transport, 2, retry=Retry(max_attempts=3, initial_delay_s=0.001, last_pass=False)).run()
    assert [record.attempts for record in found.records] == [3, 3]
    assert transport.asked == {"0": 3, "1": 3}
    assert found.pool.progress().requests == 6


def test_what_the_server_asks_for_is_waited() -> None:
    """The wait that a server asks for comes on top of the policy's own."""
    times: list[float] = []

    def answer(_: Json, time_: int) -> Outcome:
        times.append(time.monotonic())
        return Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=0.2) if time_ == 1 else Outcome(Kind.OK)

    Fetched(ScriptedTransport(answer), 1, retry=Retry(max_attempts=2, initial_delay_s=0.1, last_pass=False)).run()
    # Without the policy's own it would be 0.2 s. A busy machine makes it longer.
    assert times[1] - times[0] >= 0.28


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

    def write(_: Sequence[Record]) -> None:
        raise OSError("no space left on device")

    pool = Pool(
        work=WorkQueue((index, index) for index in range(5)),
        traffic=Traffic(settings(2)),
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
        work=WorkQueue(source()),
        traffic=Traffic(settings(1)),
        transport=ScriptedTransport(),
        settings=settings(1),
        meter=Meter(total=9, resumed=0),
        write=records.extend,
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
    found.pool.stop(STOP, grace_s=2.0)
    running.get(timeout=HANG_S)
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
    found.pool.stop(STOP, grace_s=0.1)
    running.get(timeout=HANG_S)
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
    found.pool.stop(STOP, grace_s=0)
    running.get(timeout=HANG_S)
    assert found.records == []


def test_stop_does_not_wait_for_retries() -> None:
    """A server that fails all the time doesn't hold up a stop: nothing is tried again."""
    transport = ScriptedTransport(of_kind(Kind.TIMEOUT), latency_s=0.01)
    found = Fetched(transport, 10, retry=Retry(max_attempts=9, initial_delay_s=60.0, last_pass=False))
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.5)
    assert found.pool.progress().waiting == 10
    found.pool.stop(STOP, grace_s=2 * HANG_S)
    running.get(timeout=HANG_S)
    assert found.records == []


def test_progress_shows_the_moment() -> None:
    """While it runs, a pool tells what is under way, what waits and what has ended."""

    def answer(parameter: Json, _: int) -> Outcome:
        if parameter == 0:
            gevent.sleep(60)
        return Outcome(Kind.TIMEOUT if parameter == 1 else Kind.OK)

    found = Fetched(ScriptedTransport(answer), 5, retry=Retry(max_attempts=2, initial_delay_s=30, last_pass=False))
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.05)
    seen = found.pool.progress()
    found.pool.stop(STOP, grace_s=0)
    running.get(timeout=HANG_S)
    assert (seen.total, seen.done, seen.in_flight, seen.waiting, seen.requests) == (5, 3, 1, 1, 4)


class Flickering:
    """A server that is there until an hour strikes, gone for a while, and back again.

    :param gone_s: how long it is away, in seconds, from the moment on at which it has answered `first` requests.
    """

    repeatable = True

    def __init__(self, first: int, gone_s: float) -> None:
        self._first = first
        self._gone_s = gone_s
        self._since: float | None = None
        self.answered = 0
        self.refused = 0

    def fetch(self, parameter: Json) -> Outcome:
        """Answer, or don't."""
        gevent.sleep(0.002)
        if self.answered >= self._first and self._since is None:
            self._since = time.monotonic()
        if self._since is not None and time.monotonic() - self._since < self._gone_s:
            self.refused += 1
            return Outcome(Kind.CONNECTION_ERROR)
        self.answered += 1
        return Outcome(Kind.OK, result=parameter)


def refused_in_an_outage() -> int:
    """Return how many requests are sent to a server while it is away; all parameters have their results in the end."""
    server = Flickering(first=100, gone_s=1.5)
    retry = Retry(max_attempts=2, initial_delay_s=0.001, last_pass=False)
    found = Fetched(server, 300, concurrency=20, retry=retry, breaker=Breaker(canary=0, outage_s=60)).run()
    assert {record.kind for record in found.records} == {Kind.OK}
    assert found.indexes == list(range(300))
    assert max(record.attempts for record in found.records) <= 2
    assert server.answered == 300
    return server.refused


def test_outage_in_the_middle_costs_time_and_nothing_else() -> None:
    """While the server is away only probes are sent, no parameter uses up its attempts, and all is complete."""
    # What was under way when it began, what followed before it was noticed, and a probe now and then.
    most = 20 + FIRST_FAILURES + 4
    # A failure that overlaps a good answer says nothing of an outage. A machine that stalls just then makes it overlap,
    # so the outage is noticed a few requests later: once in a while, and not three times in a row.
    assert any(refused_in_an_outage() <= most for _ in range(3))


def test_outage_that_lasts_ends_the_pool() -> None:
    """When nobody waits any longer the pool stops; what was fetched has its records, the rest has none."""
    server = Flickering(first=50, gone_s=60)
    breaker = Breaker(canary=0, outage_s=0.8)
    found = Fetched(server, 300, concurrency=5, retry=Retry(max_attempts=3), breaker=breaker).run_ticking()
    assert found.stopped == LongOutage(0.8, "connection error")
    assert found.indexes == list(range(server.answered))


def test_long_pause_in_an_outage_is_handed_back() -> None:
    """A probe that is told to come back in an hour ends the waiting: nobody sits it out."""

    def answer(_: Json, __: int) -> Outcome:
        asked = sum(transport.asked.values())
        return (
            Outcome(Kind.CONNECTION_ERROR)
            if asked <= 20
            else Outcome(Kind.HTTP_ERROR, status=503, retry_after_s=3600.0)
        )

    transport = ScriptedTransport(answer)
    found = Fetched(transport, 100, retry=Retry(max_attempts=3), breaker=Breaker(canary=0)).run()
    assert found.stopped == LongPause(3600.0)
    assert found.records == []


def test_canary_goes_first() -> None:
    """Nothing beyond the canary is asked for until all of it has ended."""
    first_beyond: list[list[int]] = []

    def answer(parameter: Json, _: int) -> Outcome:
        if parameter >= 5 and not first_beyond:
            first_beyond.append(sorted(record.index for record in found.records))
        gevent.sleep(0.05 * (parameter == 2))
        return Outcome(Kind.OK)

    found = Fetched(ScriptedTransport(answer), 50, breaker=Breaker(canary=5))
    found.run()
    assert first_beyond == [[0, 1, 2, 3, 4]]
    assert len(found.records) == 50


@pytest.mark.parametrize("count", [50, 51, 1000])
def test_canary_that_fails_ends_the_pool(count: int) -> None:
    """A wrong endpoint costs as many requests as the canary is long, not one more."""
    transport = ScriptedTransport(lambda *_: Outcome(Kind.HTTP_ERROR, status=404))
    found = Fetched(transport, count, concurrency=100, retry=Retry(), breaker=Breaker()).run()
    assert sum(transport.asked.values()) == len(found.records) == 50
    assert found.stopped == tripped(50, 404, transient=False)


def tripped(failed: int, status: int, *, transient: bool) -> BreakerTripped:
    """Return how a pool stops whose first parameters have all failed with a status."""
    return BreakerTripped(Trip(failed, failed, Kind.HTTP_ERROR, status, failed, transient))


def test_refused_credentials_end_the_pool_after_three_requests() -> None:
    """From the start nobody but the first three parameters is asked for, one after the other, and none has a record."""
    refused = Outcome(Kind.HTTP_ERROR, status=401, failure=Failure("HTTPError", "HTTP 401 Unauthorized"))
    transport = ScriptedTransport(lambda *_: refused, latency_s=0.01)
    found = Fetched(transport, 1000, concurrency=100, retry=Retry(), breaker=Breaker()).run()
    assert (transport.asked, transport.most_in_flight, found.records) == ({"0": 1, "1": 1, "2": 1}, 1, [])
    assert found.stopped == StartupFailed(3, Cause.CREDENTIALS, "HTTP 401 Unauthorized")


def test_a_list_of_one_parameter_that_is_refused_ends_alike() -> None:
    """There is no other parameter to try: the same one is asked for three times."""
    transport = ScriptedTransport(lambda *_: Outcome(Kind.HTTP_ERROR, status=403))
    found = Fetched(transport, 1, retry=Retry(), breaker=Breaker()).run()
    assert (transport.asked, found.records) == ({"0": 3}, [])
    assert isinstance(found.stopped, StartupFailed)


def test_two_that_are_refused_before_others_are_answered_have_their_own_outcome() -> None:
    """What is refused for itself is no reason to end: it is asked for once more, and has its record."""
    forbidden = Outcome(Kind.HTTP_ERROR, status=403)
    transport = ScriptedTransport(lambda name, _: forbidden if name < 2 else Outcome(Kind.OK))
    found = Fetched(transport, 40, retry=Retry(), breaker=Breaker(canary=0)).run()
    assert (found.pool.stop_reason, found.indexes) == (None, list(range(40)))
    assert {index: transport.asked[str(index)] for index in range(4)} == {0: 2, 1: 2, 2: 1, 3: 1}
    assert [record.status for record in found.records if record.index < 2] == [403, 403]


def test_what_the_server_has_not_processed_is_sent_again_at_no_cost() -> None:
    """Neither an attempt nor the budget is used up, not even where there is only one attempt."""
    broken = Outcome(Kind.CONNECTION_ERROR, unprocessed=True)
    transport = ScriptedTransport(lambda _, time_: broken if time_ <= 3 else Outcome(Kind.OK))
    retry = Retry(max_attempts=1, initial_delay_s=0.001, budget=0.0)
    found = Fetched(transport, 300, retry=retry, breaker=Breaker(canary=0)).run()
    assert [(record.kind, record.attempts) for record in found.records] == [(Kind.OK, 1)] * 300


def test_a_server_that_never_processes_a_request_gives_it_up() -> None:
    """A server that says so each time is broken: the parameter has its outcome in the end."""
    transport = ScriptedTransport(lambda *_: Outcome(Kind.CONNECTION_ERROR, unprocessed=True))
    found = Fetched(transport, 1, retry=Retry(max_attempts=1, initial_delay_s=0.001), breaker=Breaker(canary=0)).run()
    assert ([record.kind for record in found.records], transport.asked) == ([Kind.CONNECTION_ERROR], {"0": 11})


def test_a_pause_that_nobody_waits_for_is_the_parameters_outcome() -> None:
    """A year's Retry-After for one parameter: it has its record, which says so, and all others are fetched at once."""
    year = Outcome(
        Kind.HTTP_ERROR, status=503, failure=Failure("HTTPError", "HTTP 503 Busy"), retry_after_s=31_536_000.0
    )
    transport = ScriptedTransport(lambda name, _: year if name == 7 else Outcome(Kind.OK))
    found = Fetched(transport, 100, retry=Retry(), breaker=Breaker()).run()
    assert (found.pool.stop_reason, found.indexes, transport.asked["7"]) == (None, list(range(100)), 1)
    [failed] = [record for record in found.records if record.kind is not Kind.OK]
    assert failed.failure is not None
    assert failed.failure.message == (
        "HTTP 503 Busy; the API asked us to wait 31,536,000 s, longer than 86,400 s (retry.max_deferral_s), so the "
        "request wasn't repeated"
    )


def test_a_good_answer_that_asks_for_a_pause_that_nobody_waits_for_is_good() -> None:
    """A quota that is full again in a year holds nobody back: the API will say itself what it refuses."""
    transport = ScriptedTransport(lambda *_: Outcome(Kind.OK, result=1, retry_after_s=31_536_000.0))
    found = Fetched(transport, 20, retry=Retry(), breaker=Breaker()).run()
    assert (found.pool.stop_reason, [record.kind for record in found.records]) == (None, [Kind.OK] * 20)


@pytest.mark.parametrize("hopeless", [1, 5])
def test_canary_does_not_wait_for_the_last_pass(hopeless: int) -> None:
    """What the last pass will ask for again has ended for the canary: the others aren't held back for ever."""
    answer = of_kind(Kind.TIMEOUT)
    transport = ScriptedTransport(lambda name, time_: answer(name, time_) if name < hopeless else Outcome(Kind.OK))
    retry = Retry(max_attempts=2, initial_delay_s=0.001)
    found = Fetched(transport, 100, retry=retry, breaker=Breaker(canary=10, outage_s=0)).run()
    assert found.pool.stop_reason is None
    assert found.indexes == list(range(100))
    assert {record.index: record.attempts for record in found.records if record.attempts > 1} == dict.fromkeys(
        range(hopeless), 3
    )


def test_server_error_for_everybody_ends_the_pool() -> None:
    """A canary whose requests are all to be tried again later trips, too, and is told as something that may pass."""
    transport = ScriptedTransport(lambda *_: Outcome(Kind.HTTP_ERROR, status=500))
    retry = Retry(max_attempts=2, initial_delay_s=0.001)
    found = Fetched(transport, 1000, concurrency=100, retry=retry, breaker=Breaker()).run()
    assert sum(transport.asked.values()) <= 100
    assert found.stopped == tripped(50, 500, transient=True)


def test_last_pass_asks_once_more() -> None:
    """What has failed in all its attempts is asked for once more at the end, and may be good then."""
    order: list[int] = []

    def answer(parameter: Json, time_: int) -> Outcome:
        order.append(parameter)
        return Outcome(Kind.OK) if parameter > 1 or (parameter == 1 and time_ == 3) else Outcome(Kind.TIMEOUT)

    found = Fetched(
        ScriptedTransport(answer), 20, concurrency=1, retry=Retry(max_attempts=2, initial_delay_s=0.001)
    ).run()
    ended = {record.index: (record.kind, record.attempts) for record in found.records}
    assert sorted(order[-2:]) == [0, 1]
    assert (ended[0], ended[1], ended[2]) == ((Kind.TIMEOUT, 3), (Kind.OK, 3), (Kind.OK, 1))


def test_trip_lets_requests_in_flight_end() -> None:
    """A trip begins nothing new, waits a moment for what is under way, and that has its record."""

    def answer(parameter: Json, _: int) -> Outcome:
        gevent.sleep(0.3 if parameter >= 45 else 0.001)
        return Outcome(Kind.ERROR) if parameter < 45 else Outcome(Kind.OK)

    transport = ScriptedTransport(answer)
    found = Fetched(transport, 1000, concurrency=10, breaker=Breaker(canary=0, min_sample=20)).run()
    assert isinstance(found.stopped, BreakerTripped)
    assert found.stopped.finding.sample == 20
    assert found.indexes == list(range(asked := sum(transport.asked.values())))
    # Those of the sample, and those that were under way beside them.
    assert asked <= 20 + 10


def test_long_pause_is_handed_back() -> None:
    """A server that wants no requests for an hour ends the pool: what has ended is written, its parameter isn't."""

    def answer(parameter: Json, _: int) -> Outcome:
        gevent.sleep(0.001 * parameter)
        return Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=3600.0) if parameter == 7 else Outcome(Kind.OK)

    found = Fetched(ScriptedTransport(answer), 100, concurrency=4, retry=Retry()).run()
    assert found.stopped == LongPause(3600.0)
    assert 7 not in found.indexes
    assert set(range(7)) <= set(found.indexes)
    assert len(found.records) < 15


def test_good_answer_that_asks_for_a_long_pause_is_kept() -> None:
    """The last answer before the quota is used up has its record, and then the pool is handed back."""

    def answer(parameter: Json, _: int) -> Outcome:
        return Outcome(Kind.OK, retry_after_s=3600.0 if parameter == 3 else None)

    found = Fetched(ScriptedTransport(answer), 100, concurrency=1, retry=Retry()).run()
    assert found.stopped == LongPause(3600.0)
    assert found.indexes == [0, 1, 2, 3]


def test_first_reason_to_stop_is_the_one() -> None:
    """A pool that is being handed back and then superseded has stopped for the first reason."""
    found = Fetched(ScriptedTransport(latency_s=0.1), 100)
    running = gevent.spawn(found.pool.run)
    gevent.sleep(0.02)
    found.pool.stop(Overtaken(), grace_s=0)
    found.pool.stop(STOP)
    running.get(timeout=HANG_S)
    assert (found.stopped, found.records) == (Overtaken(), [])


def test_retries_have_a_budget() -> None:
    """A server that fails half of the time is asked for more at most by the share and the first hundred."""
    chance = random.Random(1)
    transport = ScriptedTransport(lambda *_: Outcome(chance.choice([Kind.TIMEOUT, Kind.OK])))
    retry = Retry(max_attempts=50, initial_delay_s=0.001, max_delay_s=0.001, budget=0.1, last_pass=False)
    found = Fetched(transport, 1000, retry=retry).run()
    requests = sum(transport.asked.values())
    assert 1100 <= requests <= 1000 + 100 + 0.1 * requests
    assert len(found.records) == 1000
