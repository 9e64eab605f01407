"""Whether the rest of a run is doomed, and whether the server is down: decided from the outcomes so far."""

from __future__ import annotations

import math
import sys
from collections import Counter
from enum import Enum

import msgspec

from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Breaker

# A result that is missing is validate's business; these say that asking itself doesn't work.
FAILURES = frozenset({Kind.HTTP_ERROR, Kind.API_ERROR, Kind.TIMEOUT, Kind.CONNECTION_ERROR, Kind.INVALID, Kind.ERROR})
_UNANSWERED = frozenset({Kind.TIMEOUT, Kind.CONNECTION_ERROR})
_DOWN = frozenset({502, 503, 504})
# What another time may be answered; wrong credentials are not among them.
_PASSING = frozenset({408, 425, 429, 500}) | _DOWN

# The server counts as down when this number of parameters in a row get no answer to their first request. A few that
# get none, between others that do, are failures of their own.
FIRST_FAILURES = 10
PROBE_S = 0.5
LONGEST_PROBE_S = 5.0


class Trip(msgspec.Struct, frozen=True):
    """Why a run is stopped early.

    :param sample: how many parameters had ended.
    :param failed: how many of them without a result.
    :param cause: the most frequent kind of failure, and
    :param status: its HTTP status, if it has one.
    :param of_cause: how many have failed of that.
    :param transient: whether it may be another time.
    """

    sample: int
    failed: int
    cause: Kind
    status: int | None
    of_cause: int
    transient: bool


# Room for any number.
UNLIMITED = sys.maxsize


class CircuitBreaker:
    """Counts how parameters end, and says when it is enough."""

    def __init__(self, settings: Breaker) -> None:
        self._settings = settings
        self._ended = 0
        self._failed = 0
        self._causes: Counter[tuple[Kind, int | None]] = Counter()

    def room(self, begun: int) -> int:
        """Return how many parameters may still begin after `begun`; none while the canary is under way."""
        canary = self._settings.canary
        return canary - begun if self._ended < canary else UNLIMITED

    def add(self, outcome: Outcome, many: int = 1) -> Trip | None:
        """Count `many` parameters with this outcome; return why to stop, or `None` to go on."""
        self._ended += many
        if outcome.kind in FAILURES:
            self._causes[outcome.kind, outcome.status] += many
            self._failed += many
        if self._failed <= self._settings.max_failures * self._ended:
            return None
        # The canary is a sample of its own, once all of it has ended.
        if self._ended < self._settings.min_sample and self._ended != self._settings.canary:
            return None
        (kind, status), of_cause = self._causes.most_common(1)[0]
        transient = kind in _UNANSWERED or status in _PASSING
        return Trip(self._ended, self._failed, kind, status, of_cause, transient)


class OutageEnd(Enum):
    """How an outage has ended."""

    BACK = "the server answers again"
    PARTIAL = "a request sent before the outage was answered: the server was overloaded, not down"


class OutageDetector:
    """Notices that the server is down, and lets single requests through until it is back.

    :param give_up_s: the run stops after this number of seconds without any answer; 0 turns the detector off.

    `since_s` is the moment since which the server is thought to be down, `None` while it isn't; `last` is the outcome
    of the last request, if it had no answer.
    """

    def __init__(self, give_up_s: float) -> None:
        self.give_up_s = give_up_s
        self._failed = 0
        self._answered_s = -math.inf
        self._probe_s = PROBE_S
        self.since_s: float | None = None
        self.last: Outcome | None = None

    @property
    def is_on(self) -> bool:
        """Whether the server is thought to be down."""
        return self.since_s is not None

    def is_too_long(self, now_s: float) -> bool:
        """Return whether it has lasted longer than anybody waits."""
        return self.since_s is not None and now_s - self.since_s > self.give_up_s

    def fail(self, outcome: Outcome, *, attempt: int, ms: float, now_s: float) -> float:
        """Note that a request has had no answer; return for how many seconds nobody may send.

        :param attempt: the number of the parameter's attempt, counted from 1.
        :param ms: how long it took, in milliseconds.
        """
        self.last = outcome
        if self.since_s is not None:
            # What was under way when it began is no probe, and says nothing new.
            if now_s - ms / 1000 < self.since_s:
                return 0.0
            self._probe_s = min(LONGEST_PROBE_S, self._probe_s * 2)
            return self._probe_s
        # Many that were lost at one moment come to their end at one moment, long after, between good answers: what
        # waited in vain while others were answered doesn't say that the server is down.
        self._failed += attempt == 1 and now_s - ms / 2000 >= self._answered_s
        if self._failed < FIRST_FAILURES or not self.give_up_s:
            return 0.0
        self.since_s = now_s
        return self._probe_s

    def answer(self, now_s: float, ms: float) -> OutageEnd | None:
        """Note that the server has answered a request after so long, in milliseconds; return if that ends an outage."""
        self._answered_s = now_s
        if self.last is None:
            return None
        since_s, self.since_s = self.since_s, None
        self._failed, self.last, self._probe_s = 0, None, PROBE_S
        if since_s is None:
            return None
        return OutageEnd.PARTIAL if now_s - ms / 1000 < since_s else OutageEnd.BACK


def is_down(outcome: Outcome) -> bool:
    """Return whether an outcome is that of a server which isn't there; one that says what it hasn't processed is."""
    return (outcome.kind in _UNANSWERED and not outcome.unprocessed) or outcome.status in _DOWN
