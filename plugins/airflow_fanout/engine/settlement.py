"""What becomes of each request, however it was sent: again, later, or a record; and when it is enough for all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from airflow_fanout.control.breaker import is_down
from airflow_fanout.control.retry import Again, RetryBudget, Verdict, bound_s, decide, without_too_long_a_pause
from airflow_fanout.control.startup import GIVE_WAY_S, cause_of
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.engine.call_traffic import CallTraffic
from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.steps import More
from airflow_fanout.engine.work import Task, WorkQueue
from airflow_fanout.launch.stop_reasons import BreakerTripped, LongOutage, LongPause, StartupFailed, StopReason
from airflow_fanout.model.outcome import Cause, Kind, Outcome, Record
from airflow_fanout.model.reasons import reason_of
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.privacy.telling import words_of

Write = Callable[[Sequence[Record]], None]
_OK = Kind.OK
# A server that says each time that it hasn't processed a request has a fault of its own: then it is a failed attempt.
MOST_RESENT = 10


class Attempt(msgspec.Struct, frozen=True, gc=False):
    """What came of an attempt at a task that was begun at a moment of the monotonic clock."""

    task: Task
    outcome: Outcome
    begun_s: float


class SettlementRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a settlement decides by.

    :param settings: how to fetch.
    :param repeatable: whether sending a request twice does no harm.
    :param uniform: draws evenly from a range; for the waits before retries.
    :param hide: takes the connection's secrets out of a text: a server may say anything of a failure.
    :param clock: the time, in seconds; that of the moments at which requests were begun.
    """

    settings: FetchSettings
    repeatable: bool
    uniform: Callable[[float, float], float] = random.uniform
    hide: Callable[[str], str] = str
    clock: Callable[[], float] = time.monotonic


class Settlement:
    """Gives each task back to the work, or writes its outcome down.

    :param work: takes back what is to be tried again.
    :param traffic: learns from each outcome.
    :param rules: what to decide by.
    :param meter: counts.
    :param write: takes the records of parameters that have ended.
    :param stop: called when the rest is not to be sent, with the reason.
    """

    def __init__(
        self,
        *,
        work: WorkQueue,
        traffic: Traffic,
        rules: SettlementRules,
        meter: Meter,
        write: Write,
        stop: Callable[[StopReason], None],
    ) -> None:
        self._work = work
        self._traffic = traffic
        self._rules = rules
        self._clock = rules.clock
        self._meter = meter
        self._write = write
        self._stop = stop
        self._budget = RetryBudget(rules.settings.retry.budget)

    def add(self, outcome: Outcome, begun_s: float, ended: Sequence[tuple[Task, Outcome]]) -> None:
        """Settle a request that was begun at a moment of the monotonic clock.

        :param outcome: what it says of the server: it counts once, however many tasks the request was about.
        :param ended: the tasks that it has ended, each with its own outcome: one, with that of the request.
        """
        now = self._clock()
        ms = (now - begun_s) * 1000
        self._meter.sent(ms, outcome)
        self._budget.sent()
        if outcome.outdated and self._send_again(outcome, [task for task, _ in ended], ms, now):
            return
        bounded = without_too_long_a_pause(outcome, self._rules.settings.retry)
        attempt = ended[0][0].attempt if ended else 1
        counts = self._traffic.end(bounded, attempt=attempt, ms=ms, now_s=now)
        for task, own in ended:
            if isinstance(own, More) and own.ends is not None:
                self._end(task, _noted(task, own.ends), ms)
            elif isinstance(own, More):
                self._work.go_on(task, own.wait_s)
                if self._is_long(bounded):
                    self._stop(LongPause(bounded.retry_after_s or 0.0))
            elif own is outcome is not bounded:
                self._end(task, _noted(task, bounded), ms)
            elif own.unprocessed and task.resent < MOST_RESENT:
                task.resent += 1
                wait_s = self._rules.uniform(0.0, bound_s(task.resent, self._rules.settings.retry))
                self._work.again(task, wait_s, counts=False)
            else:
                self._settle(task, _noted(task, own), ms, counts=counts)
        self._stop_if_hopeless(outcome, now)

    def add_call(self, task: Task, outcome: Outcome, call: CallTraffic) -> None:
        """Settle a call of a function, whose requests were counted as they ended."""
        now = self._clock()
        ms = max(0.0, now - call.begun_s - call.waited_s) * 1000
        self._meter.failed(outcome)
        self._budget.sent(call.requests)
        bounded = without_too_long_a_pause(outcome, self._rules.settings.retry)
        is_refused = self._traffic.refuses(bounded, ms, now)
        counts = not is_refused and (call.counts or not is_down(bounded))
        if bounded is not outcome:
            self._end(task, bounded, ms)
        else:
            self._settle(task, outcome, ms, counts=counts, requests=call.requests)
        self._stop_if_hopeless(outcome, now)

    def _stop_if_hopeless(self, outcome: Outcome, now: float) -> None:
        """Stop the fetch if the API has never answered, and enough requests have failed for a cause that stays."""
        cause = self._refusal(outcome)
        if cause is not None and self._traffic.startup.is_hopeless(now):
            failure = outcome.failure
            words = words_of(failure, kind=outcome.kind, status=outcome.status) if failure else ""
            self._stop(StartupFailed(self._traffic.startup.failed, cause, self._rules.hide(words)))

    def _send_again(self, outcome: Outcome, tasks: Sequence[Task], ms: float, now_s: float) -> bool:
        """Give tasks back whose request was refused with credentials that others replace: it wasn't carried out.

        Return whether they are sent again: a server that refuses each newer token has a fault of its own.
        """
        if any(task.resent >= MOST_RESENT for task in tasks):
            return False
        self._traffic.leave(ms, now_s, is_answered=outcome.status is not None)
        for task in tasks:
            task.resent += 1
            self._work.again(task, 0.0, counts=False)
        return True

    def add_all(self, attempts: Sequence[Attempt]) -> None:
        """Settle the outcomes of attempts that have ended together; good ones, most of them, cost next to nothing."""
        # There is a result, and nothing else to say.
        good = [each for each in attempts if each.outcome.kind is _OK and each.outcome.retry_after_s is None]
        if good:
            self._add_good(good)
        if len(good) < len(attempts):
            for attempt in attempts:
                if attempt.outcome.kind is not _OK or attempt.outcome.retry_after_s is not None:
                    self.add(attempt.outcome, attempt.begun_s, [(attempt.task, attempt.outcome)])

    def _add_good(self, attempts: Sequence[Attempt]) -> None:
        now = self._clock()
        latencies = [(now - attempt.begun_s) * 1000 for attempt in attempts]
        self._meter.answered(latencies)
        self._budget.sent(len(attempts))
        self._traffic.answered(latencies, now)
        self._write(
            [
                Record.of(attempt.task.index, attempt.task.parameter, attempt.outcome, attempt.task.attempt, ms)
                for attempt, ms in zip(attempts, latencies, strict=True)
            ]
        )
        self._work.finish(len(attempts))
        # What the last pass brings was judged before.
        if first := [attempt for attempt in attempts if not attempt.task.judged]:
            self._judge(attempts[0].outcome, len(first))

    def look(self) -> None:
        """Look at what only time brings about; called about once a second."""
        now = self._clock()
        self._traffic.tick(now, self._meter.seconds)
        if outage := self._traffic.given_up(now):
            self._stop(LongOutage(outage.give_up_s, reason_of(outage.last) if outage.last else ""))

    def _settle(self, task: Task, outcome: Outcome, ms: float, *, counts: bool, requests: int = 1) -> None:
        if not counts and not self._is_long(outcome):
            # Before the first answer other parameters are tried first: this one may be refused for itself.
            self._work.again(task, 0.0 if self._refusal(outcome) is None else GIVE_WAY_S, counts=False)
            return
        decision, was_judged = self._decide(task, outcome, requests), task.judged
        if isinstance(decision, Again):
            self._work.again(task, decision.wait_s)
        elif decision is Verdict.HAND_BACK:
            self._work.again(task, 0.0, counts=False)
            self._stop(LongPause(outcome.retry_after_s or 0.0))
        elif decision is Verdict.LATER and self._work.leave(task):
            # It has failed, whatever the last pass brings: the canary and the breaker don't wait for that.
            if not was_judged:
                self._judge(outcome, task.size)
        else:
            self._end(task, outcome, ms)

    def _decide(self, task: Task, outcome: Outcome, requests: int) -> Again | Verdict:
        decision = decide(
            outcome,
            attempt=task.attempt,
            policy=self._rules.settings.retry,
            repeatable=self._rules.repeatable if task.steps is None else task.steps.is_repeatable,
            budget=self._budget,
            uniform=self._rules.uniform,
            was_garbled=task.was_garbled,
            requests=requests,
        )
        task.was_garbled = task.was_garbled or outcome.garbled
        return Verdict.FINAL if task.last and decision is not Verdict.HAND_BACK else decision

    def _hidden(self, outcome: Outcome) -> Outcome:
        """Return an outcome as it may be kept: a server may repeat the request's credentials in what it says."""
        if (failure := outcome.failure) is None:
            return outcome
        return replace(outcome, failure=replace(failure, message=self._rules.hide(failure.message)))

    def _end(self, task: Task, outcome: Outcome, ms: float) -> None:
        self._write([Record.of(task.index, task.parameter, self._hidden(outcome), task.attempt, ms)])
        self._meter.ended(outcome.kind)
        self._work.finish()
        if not task.judged:
            self._judge(outcome)
        if self._is_long(outcome):
            self._stop(LongPause(outcome.retry_after_s or 0.0))

    def _refusal(self, outcome: Outcome) -> Cause | None:
        return cause_of(outcome) if self._traffic.startup.is_on else None

    def _is_long(self, outcome: Outcome) -> bool:
        return (outcome.retry_after_s or 0.0) > self._rules.settings.retry.max_retry_after_s

    def _judge(self, outcome: Outcome, many: int = 1) -> None:
        if tripped := self._traffic.settle(outcome, many):
            self._stop(BreakerTripped(tripped))


def _noted(task: Task, outcome: Outcome) -> Outcome:
    """Return an outcome that says at which of several requests the parameter has failed, if it has several."""
    return outcome if task.steps is None or outcome.failure is None else task.steps.failed(outcome)
