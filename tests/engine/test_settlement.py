"""A request and the outcomes of the tasks that it was about: none, one, or several."""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from airflow_fanout.api.compiled import Prepared
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.settlement import Settlement, SettlementRules
from airflow_fanout.engine.steps import More, RawAnswer
from airflow_fanout.engine.work import Task, WorkQueue
from airflow_fanout.launch.stop_reasons import BreakerTripped, LongPause, StopReason
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry

OK = Outcome(Kind.OK, result=[1])
GONE = Outcome(Kind.HTTP_ERROR, status=404)
BUSY = Outcome(Kind.HTTP_ERROR, status=503, failure=Failure("HTTPError", "HTTP 503"))
MORE = More(Kind.NULL, status=200)


class Second:
    """The second of a parameter's requests."""

    is_repeatable = True
    is_elsewhere = False

    def message(self) -> Prepared:
        """Return a request that nobody sends."""
        raise NotImplementedError

    def take(self, answer: RawAnswer, address: str) -> Outcome:
        """Return what nobody receives."""
        raise NotImplementedError

    def failed(self, outcome: Outcome) -> Outcome:
        """Say that it is the second."""
        assert outcome.failure is not None
        return replace(outcome, failure=Failure(outcome.failure.type, f"request 2: {outcome.failure.message}"))


class Settled:
    """A settlement of ten parameters, and all that it has done."""

    def __init__(self, breaker: Breaker | None = None, **retry: Any) -> None:
        settings = FetchSettings(
            retry=Retry(initial_delay_s=0.0, **retry), breaker=breaker or Breaker(canary=0, startup_attempts=0)
        )
        self.work = WorkQueue(iter(enumerate("abcdefghij")))
        self.traffic = Traffic(settings)
        self.meter = Meter(total=10, resumed=0)
        self.records: list[Record] = []
        self.reasons: list[StopReason] = []
        self.settlement = Settlement(
            work=self.work,
            traffic=self.traffic,
            rules=SettlementRules(settings=settings, repeatable=True),
            meter=self.meter,
            write=self.records.extend,
            stop=self.reasons.append,
        )

    def send(self, outcome: Outcome, *each: Outcome) -> None:
        """Send one request about as many tasks as there are outcomes of each."""
        now = time.monotonic()
        self.traffic.begin(now)
        self.settlement.add(outcome, now, list(zip(self.work.poll(len(each)), each, strict=True)))

    def finish(self, task: Task, outcome: Outcome) -> None:
        """Send a request about a task that was taken."""
        now = time.monotonic()
        self.traffic.begin(now)
        self.settlement.add(outcome, now, [(task, outcome)])

    def counts(self) -> tuple[int, int, int]:
        """Return how many requests were sent, how many parameters have ended, and how many tasks are under way."""
        progress = self.meter.progress(in_flight=self.traffic.in_flight, waiting=self.work.waiting)
        return progress.requests, progress.done, self.work.in_flight


def test_each_task_of_a_request_has_its_own_outcome() -> None:
    """The request counts once, each parameter has its record, and one that may be asked for again is."""
    settled = Settled()
    settled.send(OK, OK, GONE, BUSY)
    assert [(record.parameter, record.kind, record.status) for record in settled.records] == [
        ("a", Kind.OK, None),
        ("b", Kind.HTTP_ERROR, 404),
    ]
    assert settled.counts() == (1, 2, 0)
    assert [(task.parameter, task.attempt) for task in settled.work.poll(1)] == [("c", 2)]
    assert settled.traffic.in_flight == 0


def test_a_request_that_fails_is_that_of_all_its_tasks() -> None:
    """All of them are tried again; traffic learns of one request, however many tasks it was about."""
    settled = Settled()
    settled.send(BUSY, BUSY, BUSY, BUSY)
    assert settled.records == []
    assert settled.counts() == (1, 0, 0)
    assert [(task.parameter, task.attempt) for task in settled.work.poll(3)] == [("a", 2), ("b", 2), ("c", 2)]


def test_a_request_may_end_no_task() -> None:
    """It counts as a request, and nothing else has happened."""
    settled = Settled()
    settled.send(OK)
    assert settled.counts() == (1, 0, 0)
    assert settled.traffic.in_flight == 0


def test_the_breaker_counts_parameters() -> None:
    """Ten parameters that have failed are enough for it, in however few requests."""
    settled = Settled(Breaker(canary=10, startup_attempts=0))
    settled.send(OK, *[GONE] * 10)
    [reason] = settled.reasons
    assert isinstance(reason, BreakerTripped)
    assert (reason.finding.sample, reason.finding.failed) == (10, 10)


def test_a_parameter_with_a_further_request_keeps_its_place_in_the_line() -> None:
    """The answer counts as a request and ends nothing; the next request is due before any new parameter's."""
    settled = Settled()
    settled.send(MORE, MORE)
    assert settled.records == []
    assert settled.counts() == (1, 0, 0)
    assert [(task.parameter, task.attempt) for task in settled.work.poll(2)] == [("a", 1), ("b", 1)]


def test_attempts_are_those_of_one_request() -> None:
    """What has failed before an answer isn't held against the next request: it has all of its attempts."""
    settled = Settled(max_attempts=2, last_pass=False)
    for outcome in (BUSY, MORE, BUSY, OK):
        settled.send(outcome, outcome)
    [record] = settled.records
    assert (record.parameter, record.kind, record.attempts) == ("a", Kind.OK, 2)
    assert settled.counts() == (4, 1, 0)


def test_the_last_pass_goes_on_where_a_parameter_has_stopped() -> None:
    """After the page that had failed, the next ones have all of their attempts, and the breaker counts it once."""
    settled = Settled(Breaker(canary=2, startup_attempts=0), max_attempts=2)
    settled.send(BUSY, BUSY)
    [task] = settled.work.poll(1)
    task.steps = Second()
    settled.finish(task, BUSY)
    assert [task.parameter for task in settled.work.poll(9)] == list("bcdefghij")
    settled.work.finish(9)
    assert settled.work.poll(1) == []
    assert not settled.work.is_over()
    for outcome in (MORE, BUSY, BUSY):
        settled.send(outcome, outcome)
    assert not settled.work.is_over()
    settled.send(OK, OK)
    [record] = settled.records
    assert (record.parameter, record.kind, record.attempts) == ("a", Kind.OK, 3)
    assert settled.reasons == []


def test_a_failure_says_at_which_request() -> None:
    """Whatever has failed, in whichever way, the outcome names the request."""
    settled = Settled(max_attempts=1)
    [task] = settled.work.poll(1)
    task.steps = Second()
    settled.finish(task, BUSY)
    [record] = settled.records
    assert record.failure == Failure("HTTPError", "request 2: HTTP 503")


def test_a_page_may_ask_for_a_long_pause() -> None:
    """Then all requests wait, and a pause that is too long for a worker slot ends the engine."""
    settled = Settled()
    settled.send(*[replace(MORE, retry_after_s=900.0)] * 2)
    assert settled.reasons == [LongPause(900.0)]
    settled = Settled()
    settled.send(*[replace(MORE, retry_after_s=1e6)] * 2)
    assert settled.reasons == []
