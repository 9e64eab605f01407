"""How many requests may be under way: decided from what comes back.

Additive increase, multiplicative decrease (D.-M. Chiu, R. Jain, "Analysis of the Increase and Decrease Algorithms for
Congestion Avoidance", 1989), after a slow start that doubles (V. Jacobson, "Congestion Avoidance and Control", 1988).
The limit decreases when the server refuses or is late, and when latency grows with load, by the gradient of the
latencies without and with load (Netflix concurrency-limits, "Gradient2Limit").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import quantiles

from airflow_fanout.model.settings import Throttle

# Decrease by a third; half, as in TCP, costs more throughput than a server's refusals are worth.
BACK_OFF = 0.7
# This share of refusals and timeouts is the API's own weather, at any load: if none were allowed, a few
# requests that always hang would bring the limit down to the floor (as BBR tolerates losses that TCP doesn't).
TOLERATED = 0.08
# What is refused or late at the floor isn't of our making: twice that share is tolerated at any load, up to half. One
# of eight nodes that is broken would keep the limit at the floor otherwise.
WEATHER_FACTOR = 2.0
MOST_TOLERATED = 0.5
# Latency under load may be half as much again as without: a queue as long as half the work.
TOLERANCE = 1.5
# Below this, in milliseconds, growing latency is the noise of schedulers and timers.
NOISE_MS = 5.0
# The median of this number of widely scattered latencies (log-normal, sigma 1) is right within a quarter.
SHORTEST_WINDOW = 32
# The standard error of the difference of two such medians, by the distance of the quartiles: √2 · 1.25 s / √32, where
# s is this distance / 1.35.
SCATTER = 0.23
# How much a new window counts in the latency without load.
NEWS = 0.2


class Window:
    """The requests that ended since the limit was last looked at.

    `overloads` is the number of those that were too much for the server; `latencies` has one for each of the others.
    """

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.overloads = 0
        self.most_in_flight = 0


class Concurrency:
    """The limit on requests under way; `limit` is that of this moment."""

    def __init__(self, settings: Throttle, ceiling: int) -> None:
        self._floor = min(settings.min_concurrency, ceiling)
        self._start = min(max(settings.initial_concurrency, settings.min_concurrency), ceiling)
        self._ceiling = ceiling
        self._adaptive = settings.adaptive
        self._most = ceiling
        self._set(float(self._start if settings.adaptive else ceiling))
        self._doubling = True
        self._unloaded_ms: float | None = None
        self._was_slow = False
        # The share of overloads at the floor; `None` as long as the limit hasn't been there.
        self._weather: float | None = None
        self._window = Window()
        self._from_before = 0

    def add(self, latencies_ms: Sequence[float], in_flight: int) -> None:
        """Note requests that were carried out.

        :param latencies_ms: how long each has taken, in milliseconds.
        :param in_flight: how many were under way until now, these included.
        """
        if self._adaptive and (news := latencies_ms[self._passed_over(len(latencies_ms)) :]):
            self._window.latencies += news
            self._look_if_full(in_flight, len(latencies_ms))

    def add_overload(self, in_flight: int) -> None:
        """Note a request that was too much for the server.

        :param in_flight: how many were under way until now, this one included.
        """
        if self._adaptive and not self._passed_over(1):
            self._window.overloads += 1
            self._look_if_full(in_flight, 1)

    def _passed_over(self, ended: int) -> int:
        # Sent under the larger limit: one cause, one decrease.
        from_before = min(self._from_before, ended)
        self._from_before -= from_before
        return from_before

    def _look_if_full(self, in_flight: int, ended: int) -> None:
        window = self._window
        window.most_in_flight = max(window.most_in_flight, in_flight)
        size = len(window.latencies) + window.overloads
        if size >= max(SHORTEST_WINDOW, self.limit):
            before = self._limit
            self._look_at(window, size)
            self._from_before = in_flight - ended if self._limit < before else 0
            self._window = Window()

    def restart(self) -> None:
        """Begin carefully after an outage: the server may take less than before it, and soon as much again."""
        if self._adaptive:
            self._set(min(float(self._start), self._limit))
            self._doubling, self._window = True, Window()
            self._from_before, self._weather = 0, None

    def back_off(self, still_in_flight: int) -> None:
        """Decrease now: nearly everything that was sent lately was too much.

        :param still_in_flight: how many are under way; what comes of them says nothing of the lower limit.
        """
        if self._adaptive:
            self._shrink(BACK_OFF)
            self._from_before, self._window = still_in_flight, Window()

    def _look_at(self, window: Window, size: int) -> None:
        if self._is_overloaded(window.overloads / size):
            self._shrink(BACK_OFF)
        elif (gradient := self._gradient(window)) < 1:
            # One slow window may be a stall of this machine's own: the limit rests, and shrinks when the next is slow.
            if self._was_slow:
                self._shrink(max(BACK_OFF, gradient))
            self._was_slow = not self._was_slow
            return
        elif window.most_in_flight >= int(self._limit) * 0.8:
            step = self._limit if self._doubling else max(1.0, math.sqrt(self._limit) / 4)
            self._set(min(float(self._ceiling), self._limit + step))
        self._was_slow = False

    def _is_overloaded(self, share: float) -> bool:
        """Return whether a share of overloads is more than the API's own weather."""
        if self.limit == self._floor and share > TOLERATED:
            before = share if self._weather is None else self._weather
            self._weather = before + NEWS * (share - before)
        return share > max(TOLERATED, min(MOST_TOLERATED, WEATHER_FACTOR * (self._weather or 0.0)))

    def _gradient(self, window: Window) -> float:
        lower, ms, upper = quantiles(window.latencies, n=4)
        if self._unloaded_ms is None:
            self._unloaded_ms = ms
        elif ms < self._unloaded_ms / 2:
            # Half under load of what it was without, which is more than noise: the first answers were slow ones.
            self._unloaded_ms = ms
        elif window.most_in_flight <= self._start:
            # At so few requests the latency isn't of our making: this is what the server takes now.
            self._unloaded_ms += NEWS * (ms - self._unloaded_ms)
        allowed = self._unloaded_ms * TOLERANCE + NOISE_MS + SCATTER * (upper - lower)
        return allowed / ms if ms > 0 else 1.0

    def _shrink(self, factor: float) -> None:
        self._set(max(float(self._floor), self._limit * factor))
        self._doubling = False

    def cap(self, most: int) -> None:
        """Allow no more than this number from now on, whatever has been learned; 0 for none."""
        self._most = most
        self._set(self._limit)

    def _set(self, limit: float) -> None:
        self._limit = limit
        self.limit = min(int(limit), self._most)
