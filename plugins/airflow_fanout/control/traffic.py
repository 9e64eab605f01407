"""What is let through to the API, and when: throttle, canary, breaker and outage as one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from airflow_fanout.control.breaker import CircuitBreaker, OutageDetector, OutageEnd, Trip, is_down
from airflow_fanout.control.budget import RequestBudget
from airflow_fanout.control.startup import LONGEST_HOLD_S, Startup, cause_of
from airflow_fanout.control.throttle import Limiter
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.model.reasons import reason_of
from airflow_fanout.model.settings import FetchSettings, Throttle
from airflow_fanout.model.waits import SHORTEST_S, Reason

# The summary shows the limit at no more than this number of moments, evenly spread.
MOST_MOMENTS = 120


class Traffic:
    """The state of one fetch's traffic; the caller passes the time, in seconds of one clock.

    :param budget: how many requests may be sent; by the settings' rate, if not given.
    :param is_answered: whether an earlier try of the task has had answers.
    :param limiter: makes what says when the next request may be sent.
    """

    def __init__(
        self,
        settings: FetchSettings,
        budget: RequestBudget | None = None,
        *,
        is_answered: bool = False,
        limiter: Callable[[Throttle, int, RequestBudget | None], Limiter] = Limiter,
    ) -> None:
        self._gate = limiter(settings.throttle, settings.concurrency, budget)
        self._fuse = CircuitBreaker(settings.breaker)
        self._outage = OutageDetector(settings.breaker.outage_s)
        self.startup = Startup(settings.breaker.startup_attempts, is_answered=is_answered)
        self._moments: list[dict[str, Any]] = []
        self._every = 1
        self._ticks = 0

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return self._gate.in_flight

    def room_for_new(self, begun: int) -> int:
        """Return how many parameters may still begin after `begun`; none while the canary is under way."""
        return self._fuse.room(begun)

    @property
    def room(self) -> int:
        """How many requests may be sent at once when there is nothing to wait for."""
        return 1 if self._outage.is_on or self.startup.is_held else self._gate.room

    def wait_s(self, now_s: float) -> float:
        """Return 0 if a request may be sent now, else how long to wait, in seconds; infinity until one has ended.

        :param now_s: the time of a monotonic clock, in seconds, as everywhere here.
        """
        if self._outage.is_on and self._gate.in_flight:
            return math.inf
        wait_s = self._gate.wait_s(now_s)
        return max(wait_s, self.startup.hold_s(self._gate.in_flight, now_s)) if self.startup.is_held else wait_s

    def begin(self, now_s: float, many: int = 1) -> None:
        """Note that `many` requests are sent."""
        self._gate.begin(now_s, many)

    def answered(self, latencies_ms: Sequence[float], now_s: float) -> None:
        """Note that requests have had good answers, with nothing else to say."""
        self._gate.answered(latencies_ms, now_s)
        self.startup.is_on = self.startup.is_held = False
        self._has_answered(now_s, max(latencies_ms))

    def end(self, outcome: Outcome, *, attempt: int, ms: float, now_s: float) -> bool:
        """Note what came of a request; return whether the attempt counts.

        None does in an outage, nor one that fails of a cause that no waiting cures, before the first answer.
        """
        self._gate.end(outcome, ms, now_s)
        return not self.refuses(outcome, ms, now_s) and self._counts(outcome, attempt=attempt, ms=ms, now_s=now_s)

    def end_of_part(self, outcome: Outcome, *, attempt: int, ms: float, now_s: float) -> bool:
        """Note what came of one of several requests for a parameter; return whether the attempt counts.

        A cause that no waiting cures is one if it is what the parameter fails of in the end: a function may know what
        to do about a 401.
        """
        self._gate.end(outcome, ms, now_s)
        if self.startup.is_on:
            if cause_of(outcome) is not None:
                return True
            self.startup.add(outcome, ms, now_s)
        return self._counts(outcome, attempt=attempt, ms=ms, now_s=now_s)

    def refuses(self, outcome: Outcome, ms: float, now_s: float) -> bool:
        """Return whether a parameter has failed, before the first answer, of a cause that no waiting cures."""
        is_refused = self.startup.is_on and self.startup.add(outcome, ms, now_s) is not None
        if is_refused:
            self._gate.pause(self.startup.pause_s, now_s)
        return is_refused

    def abandon(self) -> None:
        """Note that a request is under way no more, of which nothing is known."""
        self._gate.abandon()

    def _counts(self, outcome: Outcome, *, attempt: int, ms: float, now_s: float) -> bool:
        if not is_down(outcome):
            self._has_answered(now_s, ms)
            return True
        was_on = self._outage.is_on
        if pause_s := self._outage.fail(outcome, attempt=attempt, ms=ms, now_s=now_s):
            self._gate.pause(pause_s, now_s)
        return not was_on

    def leave(self, ms: float, now_s: float, *, is_answered: bool) -> None:
        """Note that a request has ended, after so long, which says at most that the server is there."""
        self._gate.leave()
        if is_answered:
            self._has_answered(now_s, ms)

    def pause(self, pause_s: float, now_s: float) -> None:
        """Let nobody send for so long: another fetch has heard that from the API."""
        self._gate.pause(pause_s, now_s)

    def cap(self, at_once: int) -> None:
        """Let no more than this number of requests be under way."""
        self._gate.cap(at_once)

    def hold(self, now_s: float) -> None:
        """Let nobody send: there are no credentials that are good."""
        self._gate.hold(now_s)

    def release(self) -> None:
        """Let requests be sent again: there are credentials."""
        self._gate.release()

    def _has_answered(self, now_s: float, ms: float) -> None:
        over = self._outage.answer(now_s, ms)
        if over is OutageEnd.BACK:
            self._gate.restart()
        elif over is OutageEnd.PARTIAL:
            self._gate.back_off()

    def settle(self, outcome: Outcome, many: int = 1) -> Trip | None:
        """Count `many` parameters with this outcome, before a last pass; return why to stop, or `None` to go on."""
        return self._fuse.add(outcome, many)

    def given_up(self, now_s: float) -> OutageDetector | None:
        """Return the outage that has lasted for too long, if there is one."""
        return self._outage if self._outage.is_too_long(now_s) else None

    def waits(self, now_s: float, begun: int) -> tuple[Reason, str, float, float | None] | None:
        """Return why nothing new may be sent: the reason, what is waited for, since when, and until when.

        :param begun: how many parameters have been begun.
        """
        outage, gate = self._outage, self._gate
        if outage.since_s is not None:
            reason = reason_of(outage.last) if outage.last else ""
            why = f"the API gives no answer ({reason}); single requests test whether it is back"
            return Reason.OUTAGE, why, outage.since_s, outage.since_s + outage.give_up_s
        if gate.held_s is not None:
            why = "newer credentials: the access token has ended, or the API has refused it"
            return Reason.CREDENTIALS, why, gate.held_s, None
        return self._slowed(now_s, begun)

    def _slowed(self, now_s: float, begun: int) -> tuple[Reason, str, float, float | None] | None:
        """Return the limit that nothing new may be sent for; the server answers, as far as is known."""
        startup, gate = self.startup, self._gate
        if startup.is_held and startup.begun_s is not None:
            return Reason.STARTUP, "the API's first answer", startup.begun_s, startup.begun_s + LONGEST_HOLD_S
        if gate.paused_until_s > now_s:
            return Reason.PAUSE, "the API asked us to wait", gate.paused_s, gate.paused_until_s
        if begun and self._fuse.room(begun) <= 0:
            return Reason.CANARY, f"the outcomes of the first {begun:,} parameters", math.nan, None
        if slowed := gate.slowed(now_s):
            why, until_s = slowed
            if until_s is None or until_s - now_s > SHORTEST_S:
                return Reason.RATE, why, math.nan, until_s
        return None

    def state(self, now_s: float) -> dict[str, Any]:
        """Return the limits of this moment, as plain JSON."""
        return {**self._gate.state(now_s), "outage": self._outage.is_on}

    def tick(self, now_s: float, seconds: float) -> None:
        """Remember the limits of this moment; called at even intervals."""
        if self._ticks % self._every == 0:
            self._moments.append({"s": round(seconds, 1), **self.state(now_s)})
            if len(self._moments) > MOST_MOMENTS:
                # Every second one is as good a picture, for twice as long.
                self._moments, self._every = self._moments[::2], self._every * 2
        self._ticks += 1

    def moments(self) -> list[dict[str, Any]]:
        """Return the limits over time."""
        return list(self._moments)
