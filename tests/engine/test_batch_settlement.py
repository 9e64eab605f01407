"""What becomes of the requests for batches, without a server: nothing is lost and nothing is written twice."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.api.batch import Batch
from airflow_fanout.api.splitting import Splitter
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.batch_settlement import BatchSettlement
from airflow_fanout.engine.batches import BatchQueue, BatchTask, Split
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.settlement import SettlementRules
from airflow_fanout.launch.stop_reasons import BatchesRefused, LongPause, StopReason
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry

REFUSED = Outcome(Kind.HTTP_ERROR, status=400, failure=Failure("HTTPError", "HTTP 400"))
FAILURES = (
    Outcome(Kind.HTTP_ERROR, status=500, failure=Failure("HTTPError", "HTTP 500")),
    Outcome(Kind.HTTP_ERROR, status=429, failure=Failure("HTTPError", "HTTP 429")),
    Outcome(Kind.TIMEOUT, failure=Failure("ReadTimeout", "Read timed out.")),
    Outcome(Kind.INVALID, status=200, failure=Failure("NotJson", "it is empty"), garbled=True),
)


class Batches:
    """A fetch in batches, answered by hand."""

    def __init__(self, count: int, size: int, *, is_proven: bool = True, breaker: Breaker | None = None) -> None:
        policy = Retry(initial_delay_s=0.0, max_attempts=1_000, budget=1.0, max_retry_after_s=60)
        breaker = breaker or Breaker(canary=0, max_failures=1.0, outage_s=0.0, startup_attempts=0)
        settings = FetchSettings(retry=policy, breaker=breaker)
        batch = Batch(size=size)
        self.traffic = Traffic(settings)
        self.work = BatchQueue(
            iter(enumerate(range(count))),
            room=self.traffic.room_for_new,
            size=size,
            splitter=Splitter(batch, empty_is_null=False),
        )
        self.meter = Meter(total=count, resumed=0)
        self.records: list[Record] = []
        self.reasons: list[StopReason] = []
        self.requests = 0
        self.settlement = BatchSettlement(
            batch=batch,
            is_proven=is_proven,
            work=self.work,
            traffic=self.traffic,
            rules=SettlementRules(settings=settings, repeatable=True),
            meter=self.meter,
            write=self.records.extend,
            stop=self._stop,
        )

    def _stop(self, reason: StopReason) -> None:
        self.reasons.append(reason)
        self.work.stop()

    def end(self, task: BatchTask, outcome: Outcome) -> None:
        """Let the request of a batch end."""
        self.requests += 1
        now = time.monotonic()
        self.traffic.begin(now)
        self.settlement.add(outcome, now, [(task, outcome)])


def answer(task: BatchTask) -> Split:
    """Return a good answer."""
    outcomes = tuple(Outcome(Kind.OK, parameter * 10, 200) for _, parameter in task.members)
    return Split(Kind.NULL, status=200, outcomes=outcomes)


@given(
    st.integers(0, 70), st.integers(2, 20), st.sets(st.integers(0, 69), max_size=6), st.randoms(use_true_random=False)
)
def test_each_parameter_has_one_outcome_and_the_right_one(
    count: int, size: int, poisoned: set[int], random: Random
) -> None:
    """Whatever fails on the way, in whatever order answers come: all are there, and only the bad ones are refused."""
    batches = Batches(count, size)
    under_way: list[BatchTask] = []
    while True:
        under_way += batches.work.poll(random.randint(1, 4))
        if not under_way:
            break
        task = under_way.pop(random.randrange(len(under_way)))
        if random.random() < 0.2:
            failure = random.choice(FAILURES)
            # The same garbled answer twice is what the server sends.
            batches.end(task, FAILURES[0] if failure.garbled and task.was_garbled else failure)
        elif poisoned.intersection(parameter for _, parameter in task.members):
            batches.end(task, REFUSED)
        else:
            batches.end(task, answer(task))
    assert sorted(record.index for record in batches.records) == [*range(count)]
    kinds = {record.parameter: record.kind for record in batches.records}
    assert kinds == {number: Kind.HTTP_ERROR if number in poisoned else Kind.OK for number in range(count)}
    assert all(record.result == record.parameter * 10 for record in batches.records if record.kind is Kind.OK)
    assert (batches.work.in_flight, batches.work.is_over(), batches.reasons) == (0, True, [])
    progress = batches.meter.progress(in_flight=batches.traffic.in_flight, waiting=batches.work.waiting)
    assert (progress.requests, progress.done, progress.waiting) == (batches.requests, count, 0)


def test_a_batch_that_waits_counts_its_parameters() -> None:
    """Progress is about parameters."""
    batches = Batches(20, 8)
    [task] = batches.work.poll(1)
    batches.end(task, FAILURES[0])
    assert (batches.work.waiting, batches.work.begun) == (8, 8)


def test_a_refusal_that_names_a_time_is_none_of_the_content() -> None:
    """413 with Retry-After: the same batch is sent again (RFC 9110, 15.5.14)."""
    batches = Batches(8, 8)
    [task] = batches.work.poll(1)
    batches.end(task, Outcome(Kind.HTTP_ERROR, status=413, failure=REFUSED.failure, retry_after_s=0.0))
    time.sleep(0.001)
    [again] = batches.work.poll(1)
    assert (again.size, again.attempt) == (8, 2)


def test_a_good_answer_that_asks_for_a_long_pause_is_kept_and_the_fetch_waits() -> None:
    """Its outcomes are written down, and nothing more is sent."""
    batches = Batches(20, 8)
    [task] = batches.work.poll(1)
    assert isinstance(task, BatchTask)
    outcomes = answer(task).outcomes
    batches.end(task, Split(Kind.NULL, status=200, outcomes=outcomes, retry_after_s=3_600.0))
    assert len(batches.records) == 8
    assert batches.reasons == [LongPause(3_600.0)]


@pytest.mark.parametrize(
    ("is_proven", "reasons"), [(False, [BatchesRefused(2, 2, "HTTP 400 Bad Request")]), (True, [])]
)
def test_two_refused_batches_stop_a_fetch_that_has_no_good_outcome_yet(
    is_proven: bool, reasons: list[StopReason]
) -> None:
    """An earlier try that had some has shown that the batches are right."""
    batches = Batches(40, 8, is_proven=is_proven)
    for task in batches.work.poll(2):
        batches.end(task, REFUSED)
    assert batches.reasons == reasons
    assert batches.records == []
