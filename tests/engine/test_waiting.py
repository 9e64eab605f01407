from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from airflow_fanout.control.breaker import FIRST_FAILURES
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.creations import CreationQueue
from airflow_fanout.engine.meter import RECENT_S, Meter
from airflow_fanout.engine.waiting import InFlightWatch
from airflow_fanout.engine.work import Task, WorkQueue
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.model.settings import Breaker, FetchSettings, Throttle
from airflow_fanout.model.waits import Reason
from airflow_fanout.staging.jobs import JobJournal
from tests.staging.places import generation_at

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_fanout.api.compiled import Prepared
    from airflow_fanout.engine.steps import RawAnswer
    from airflow_fanout.model.waits import Wait

OK = Outcome(Kind.OK)
REFUSED = Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", "to +12025550100: Connection refused"))


class Waited:
    """The steps of a job that isn't ready: nobody asks about it here."""

    is_repeatable = True
    is_elsewhere = False

    def message(self) -> Prepared:
        """Return what nobody sends."""
        raise NotImplementedError

    def take(self, answer: RawAnswer, address: str) -> Outcome:
        """Return what nobody receives."""
        raise NotImplementedError

    def failed(self, outcome: Outcome) -> Outcome:
        """Return what hasn't failed."""
        raise NotImplementedError


class Fetch:
    """The parts of a fetch of a hundred parameters that a wait is seen by, at the times that a test tells."""

    def __init__(self, *, is_answered: bool = True, breaker: Breaker = Breaker(canary=0), **throttle: float) -> None:  # noqa: B008 - a frozen value
        self.now = 0.0
        settings = FetchSettings(concurrency=50, breaker=breaker, throttle=Throttle(adaptive=False, **throttle))  # type: ignore[arg-type] # a rate
        self.traffic = Traffic(settings, is_answered=is_answered)
        numbers = ((index, index) for index in range(100))
        self.work = WorkQueue(numbers, clock=lambda: self.now, room=self.traffic.room_for_new)
        self.meter = Meter(total=100, resumed=0, clock=lambda: self.now)
        self.waiting = InFlightWatch(work=self.work, traffic=self.traffic, meter=self.meter, total_s=60.0)

    def sends(self, many: int = 1) -> None:
        """Send requests for further parameters."""
        self.work.poll(many)
        self.traffic.begin(self.now, many)

    def gets(self, outcome: Outcome) -> None:
        """Let a request end."""
        self.traffic.end(outcome, attempt=1, ms=1.0, now_s=self.now)
        if outcome is OK:
            self.meter.ended(Kind.OK)
            self.work.finish()

    def until(self, now: float) -> Wait | None:
        """Let seconds pass, each with its look; return what is waited for then."""
        while self.now < now:
            self.now += 1.0
            self.meter.tick()
            self.waiting.look(self.now)
        return self.waiting.wait


def lasting(wait: Wait | None) -> float | None:
    """Return how long a wait takes at the most; `None` if that isn't known."""
    return None if wait is None or wait.until is None else pytest.approx(wait.until - wait.since)


def test_an_outage_is_told_at_once() -> None:
    """With its reason, and with the moment at which the fetch gives up; no parameter stands in it."""
    fetch = Fetch(breaker=Breaker(canary=0, outage_s=300))
    fetch.sends(FIRST_FAILURES)
    for _ in range(FIRST_FAILURES):
        fetch.gets(REFUSED)
    wait = fetch.until(1.0)
    assert wait is not None
    assert (wait.reason, lasting(wait)) == (Reason.OUTAGE, 300.0)
    assert str(wait).startswith("the API gives no answer (connection refused); single requests test whether it is back")


def test_a_pause_that_the_api_asks_for_is_told() -> None:
    """Since when, and until when; one of a second is none."""
    fetch = Fetch()
    fetch.sends()
    fetch.gets(Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=1.0))
    assert fetch.until(1.0) is None
    fetch.sends()
    fetch.gets(Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=120.0))
    wait = fetch.until(3.0)
    assert wait is not None
    assert (wait.reason, wait.why, lasting(wait)) == (Reason.PAUSE, "the API asked us to wait", 120.0)
    assert fetch.until(122.0) is None


def test_a_canary_that_takes_its_time_is_told() -> None:
    """The others wait for the first ones, some of which are still tried again."""
    fetch = Fetch(breaker=Breaker(canary=5))
    fetch.sends(5)
    for _ in range(4):
        fetch.gets(OK)
    wait = fetch.until(9.0)
    assert wait is None or wait.reason is Reason.CANARY
    assert wait is not None
    assert wait.why == "the outcomes of the first 5 parameters"


def test_the_first_answer_is_waited_for_in_words() -> None:
    """One request is under way, for a few seconds at the most."""
    fetch = Fetch(is_answered=False)
    fetch.traffic.wait_s(0.0)
    fetch.sends()
    wait = fetch.until(1.0)
    assert wait is not None
    assert (wait.reason, lasting(wait)) == (Reason.STARTUP, 5.0)


def test_requests_without_an_answer_are_told() -> None:
    """Nothing has ended for seconds: how many are under way, and when each is given up."""
    fetch = Fetch()
    fetch.sends(7)
    assert fetch.until(3.0) is None
    wait = fetch.until(4.0)
    assert wait is not None
    assert wait.reason is Reason.ANSWERS
    assert wait.why == "7 requests have no answer yet; each is given up after 60 s"


def test_jobs_that_are_not_ready_are_told() -> None:
    """How many; they aren't called retries, of which a single one counts."""
    fetch = Fetch()
    fetch.sends(3)
    for task in [Task(index, index, steps=Waited()) for index in range(3)]:
        fetch.gets(Outcome(Kind.NULL))
        fetch.work.go_on(task, 60.0)
    assert fetch.until(3.0) is None
    wait = fetch.until(5.0)
    assert wait is not None
    assert (wait.reason, wait.why) == (Reason.JOBS, "3 jobs to be ready")
    fetch.sends(1)
    fetch.gets(REFUSED)
    fetch.work.again(Task(3, 3), 60.0)
    wait = fetch.until(10.0)
    assert wait is not None
    assert wait.reason is Reason.RETRIES


def test_jobs_that_wait_for_the_object_storage_are_told(tmp_path: Path) -> None:
    """They are created when it has the notes about them: as long as it is away, nothing moves."""
    fetch, attempt = Fetch(), generation_at(tmp_path).new_try()
    jobs = JobJournal(attempt, count(), list_id="x", known={}, is_newest=lambda: True, is_copied=True)
    work = CreationQueue(iter(enumerate("abcdefgh")), jobs=jobs)
    watch = InFlightWatch(work=work, traffic=fetch.traffic, meter=fetch.meter, total_s=60.0)
    work.poll(4)
    watch.look(0.0)
    watch.look(5.0)
    jobs.close()
    assert watch.wait is not None
    why = "the object storage to take the notes about 4 jobs, which are created after that"
    assert (watch.wait.reason, watch.wait.why) == (Reason.JOBS, why)


def test_a_slow_rate_is_told() -> None:
    """One request in a minute is what the author wanted, and a wait all the same."""
    fetch = Fetch(rate_per_s=1 / 60)
    fetch.sends()
    fetch.gets(OK)
    wait = fetch.until(2.0)
    assert wait is not None
    assert wait.reason is Reason.RATE


def test_a_fetch_that_goes_on_waits_for_nothing() -> None:
    """As long as something ends every few seconds."""
    fetch = Fetch()
    for second in range(1, 20):
        fetch.sends()
        fetch.gets(OK)
        assert fetch.until(float(second)) is None


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """A thousand in the first second, then one each second, are one each second ten seconds later."""
    now = 0.0
    meter = Meter(total=9_999, resumed=0, clock=lambda: now)
    for _ in range(1_000):
        meter.ended(Kind.OK)
    for _ in range(int(RECENT_S) + 5):
        now += 1.0
        meter.ended(Kind.OK)
        meter.tick()
    progress = meter.progress(in_flight=0, waiting=0)
    assert progress.recent_per_s == pytest.approx(1.0, abs=0.1)
    assert progress.rate_per_s > 60
    now += RECENT_S + 1
    meter.tick()
    assert meter.progress(in_flight=0, waiting=0).recent_per_s < 0.1
