"""Whether an engine still does anything, judged from outside: pure decisions about what its board says."""

from __future__ import annotations

from typing import NamedTuple

from airflow_fanout.launch.board import NOBODY, Sight

# A silence is reported after this number of seconds, and again each time that it has doubled.
TOLD_S = 10.0
# How much of a silence one look can add. When this process was stopped itself, or the whole machine was, the engine
# could do nothing either.
LONGEST_LOOK_S = 2.0


class Silence(NamedTuple):
    """For how long an engine has done nothing, and whose call has kept it from that, if it is a parameter's."""

    seconds: float
    sight: Sight

    @property
    def culprit(self) -> int | None:
        """The index of the parameter whose call has the processor."""
        return None if self.sight.running == NOBODY else self.sight.running


class Watchdog:
    """Looks at an engine's board about once a second.

    :param limit_s: a silence of this length, in seconds, is reported as well.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._last: Sight | None = None
        self._looked_s = 0.0
        self._seconds = 0.0
        self._tell_s = min(TOLD_S, limit_s)

    def look(self, sight: Sight, now_s: float, *, share: float = 1.0) -> Silence | None:
        """Return the silence that is due to be reported now.

        :param sight: what the board says.
        :param now_s: the time of a monotonic clock, in seconds.
        :param share: how much of the time counts, from 0 to 1: nothing for a process that a signal has stopped, since
            that can't run.
        """
        passed_s, self._looked_s = min(now_s - self._looked_s, LONGEST_LOOK_S), now_s
        if self._last is None or sight.steps != self._last.steps:
            self._last, self._seconds, self._tell_s = sight, 0.0, min(TOLD_S, self._limit_s)
            return None
        self._last = sight
        self._seconds += share * passed_s
        if self._seconds < self._tell_s:
            return None
        silence = Silence(self._seconds, sight)
        self._tell_s = self._seconds * 2 if self.is_over(silence) else min(self._seconds * 2, self._limit_s)
        return silence

    def is_over(self, silence: Silence) -> bool:
        """Return whether a silence has lasted for too long."""
        return silence.seconds >= self._limit_s
