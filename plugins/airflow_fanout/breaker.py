"""Whether the rest of a run is doomed, and whether the server is down: decided from the outcomes so far."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from airflow_fanout.outcome import Kind, Outcome
from airflow_fanout.settings import Breaker

# A result that is missing is validate's business; these say that asking itself doesn't work.
FAILURES = frozenset({Kind.HTTP_ERROR, Kind.TIMEOUT, Kind.CONNECTION_ERROR, Kind.INVALID, Kind.ERROR})
_DOWN = frozenset({502, 503, 504})
# What another time may be answered; wrong credentials are not among them.
_PASSING = frozenset({408, 425, 429, 500}) | _DOWN

# So many different parameters, one after the other and each asked for the first time, without any answer: the
# server is down. A few that never answer, between others that do, are their own failure.
FIRST_FAILURES = 10
PROBE_S = 0.5
LONGEST_PROBE_S = 5.0


@dataclass(frozen=True)
class Tripped:
    """Why a run is stopped early.

    :param sample: how many parameters had ended.
    :param failed: how many of them without an answer.
    :param cause: the most frequent kind of failure, with its status if it has one.
    :param transient: whether it may be another time.
    """

    sample: int
    failed: int
    cause: str
    transient: bool


# Room for any number.
UNLIMITED = sys.maxsize


class Fuse:
    """Counts how parameters end, and says when it is enough."""

    def __init__(self, settings: Breaker) -> None:
        self._settings = settings
        self._ended = 0
        self._failed = 0
        self._causes: Counter[tuple[Kind, int | None]] = Counter()

    def room(self, begun: int) -> int:
        """Return how many more may be begun after so many: while the first ones are under way, no others."""
        canary = self._settings.canary
        return canary - begun if self._ended < canary else UNLIMITED

    def add(self, outcome: Outcome, many: int = 1) -> Tripped | None:
        """Count an outcome that so many parameters have had; return why to stop, if it is time to."""
        self._ended += many
        if outcome.kind in FAILURES:
            self._causes[outcome.kind, outcome.status] += many
            self._failed += many
        failed = self._failed
        if failed <= self._settings.max_failures * self._ended or not self._is_sample():
            return None
        (kind, status), _ = self._causes.most_common(1)[0]
        cause = str(kind) if status is None else f"{kind} {status}"
        transient = kind in (Kind.TIMEOUT, Kind.CONNECTION_ERROR) or status in _PASSING
        return Tripped(self._ended, failed, cause, transient)

    def _is_sample(self) -> bool:
        canary = self._settings.canary
        return self._ended >= self._settings.min_sample or (bool(canary) and self._ended == canary)


class Outage:
    """Notices that the server is down, and lets single requests through until it is back.

    :param longest_s: after so many seconds without any answer the run is given up; 0 if nobody waits at all.

    `is_on` says whether the server is thought to be down, `unanswered` is the number of requests since the last answer.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._failed = 0
        self._answered_s = -math.inf
        self._since_s: float | None = None
        self._probe_s = PROBE_S
        self.unanswered = 0
        self.is_on = False

    def is_too_long(self, now_s: float) -> bool:
        """Return whether it has lasted longer than anybody waits."""
        return self._since_s is not None and now_s - self._since_s > self._longest_s

    def add(self, outcome: Outcome, *, attempt: int, ms: float, now_s: float, pause: Callable[[float], None]) -> bool:
        """Note an attempt's outcome; return whether it ends an outage.

        :param attempt: the number of the parameter's attempt, counted from 1.
        :param ms: how long it took, in milliseconds.
        :param pause: called with the seconds for which nobody shall send.
        """
        if not is_down(outcome):
            return self.answer(now_s)
        self.unanswered += 1
        if self._since_s is not None:
            # What was under way when it began is no probe, and says nothing new.
            if now_s - ms / 1000 >= self._since_s:
                self._probe_s = min(LONGEST_PROBE_S, self._probe_s * 2)
                pause(self._probe_s)
            return False
        # Many that were lost at one moment come to their end at one moment, long after, between good answers: what
        # waited in vain while others were answered doesn't say that the server is down.
        self._failed += attempt == 1 and now_s - ms / 2000 >= self._answered_s
        if self._failed >= FIRST_FAILURES and self._longest_s > 0:
            self._since_s, self.is_on = now_s, True
            pause(self._probe_s)
        return False

    def answer(self, now_s: float) -> bool:
        """Note that the server has answered; return whether that ends an outage."""
        ended = self.is_on
        if self.unanswered:
            self._failed, self.unanswered, self._since_s, self._probe_s, self.is_on = 0, 0, None, PROBE_S, False
        self._answered_s = now_s
        return ended


def is_down(outcome: Outcome) -> bool:
    """Return whether an outcome is that of a server which isn't there."""
    return outcome.kind in (Kind.TIMEOUT, Kind.CONNECTION_ERROR) or outcome.status in _DOWN
