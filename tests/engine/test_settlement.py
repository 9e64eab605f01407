"""A request and the outcomes of the tasks that it was about: none, one, or several."""

from __future__ import annotations

import time

from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.settlement import Settlement, SettlementRules
from airflow_fanout.engine.work import WorkQueue
from airflow_fanout.launch.messages import BreakerTripped, StopReason
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry

OK = Outcome(Kind.OK, result=[1])
GONE = Outcome(Kind.HTTP_ERROR, status=404)
BUSY = Outcome(Kind.HTTP_ERROR, status=503)


class Settled:
    """A settlement of ten parameters, and all that it has done."""

    def __init__(self, breaker: Breaker | None = None) -> None:
        settings = FetchSettings(
            retry=Retry(initial_delay_s=0.0), breaker=breaker or Breaker(canary=0, startup_attempts=0)
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
