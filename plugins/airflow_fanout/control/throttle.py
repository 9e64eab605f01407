"""How many requests may be under way, and how fast they may follow each other: decided from what comes back.

The decisions are pure but for the state that they keep; the time is always told, never asked.

- The concurrency limit: additive increase, multiplicative decrease (D.-M. Chiu, R. Jain, "Analysis of the Increase
  and Decrease Algorithms for Congestion Avoidance", 1989), after a slow start that doubles (V. Jacobson, "Congestion
  Avoidance and Control", 1988). It decreases when the server refuses or is late, and when latency grows with load,
  by the gradient of the latencies without and with load (Netflix concurrency-limits, "Gradient2Limit").
- The rate: what a server that refuses by 429 has just accepted is what it allows; the rate approaches that from
  below and stays there a while before it tries for more, as CUBIC does (RFC 9438).
- A pause for all requests, when the server asks for one (RFC 9110, 10.2.3: `Retry-After`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Throttle

# Decrease by a third; half, as in TCP, costs more throughput than a server's refusals are worth.
BACK_OFF = 0.7
# So many refusals and timeouts among the requests are the API's own weather, at any load: without this share, a few
# requests that always hang would bring the limit down to the floor (as BBR tolerates losses that TCP doesn't).
TOLERATED = 0.08
# Latency under load may be half as much again as without: a queue as long as half the work.
TOLERANCE = 1.5
# Below this, in milliseconds, growing latency is the noise of schedulers and timers.
NOISE_MS = 5.0
# The median of so many latencies that scatter widely (log-normal, sigma 1) is right within a quarter.
SHORTEST_WINDOW = 32
# The standard error of the difference of two such medians, by the distance of the quartiles: √2 · 1.25 s / √32, where
# s is this distance / 1.35.
SCATTER = 0.23
# How much a new window counts in the latency without load.
NEWS = 0.2

# Of the rate at which a server refused: aim at so much of it, hold that for so long, then try for more, faster and
# faster, as CUBIC does: a server that allows more now is soon believed.
AIM = 0.97
HOLD_S = 20.0
PROBE_PER_S2 = 0.0005
RECOVERY_PER_S = 0.05
RATE_BACK_OFF = 0.85
SOON_S = 5.0
OVERESTIMATE = 0.9

_LATE = frozenset({429, 503})
_BROKEN = frozenset({Kind.TIMEOUT, Kind.CONNECTION_ERROR})
# Only these tell the latency: a refusal may take no time at all.
ANSWERS = frozenset({Kind.OK, Kind.NULL})


class Window:
    """The requests that ended since the limit was last looked at."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.overloads = 0
        self.most_in_flight = 0

    def add(self, latencies_ms: Sequence[float], in_flight: int) -> None:
        """Note requests that were carried out."""
        self.latencies += latencies_ms
        self.most_in_flight = max(self.most_in_flight, in_flight)

    def add_overload(self, in_flight: int) -> None:
        """Note a request that was too much for the server."""
        self.overloads += 1
        self.most_in_flight = max(self.most_in_flight, in_flight)

    @property
    def size(self) -> int:
        """The number of requests in it."""
        return len(self.latencies) + self.overloads


class Concurrency:
    """The limit on requests under way; `limit` is that of this moment."""

    def __init__(self, settings: Throttle, ceiling: int) -> None:
        self._floor = min(settings.min_concurrency, ceiling)
        self._start = min(max(settings.initial_concurrency, settings.min_concurrency), ceiling)
        self._ceiling = ceiling
        self._adaptive = settings.adaptive
        self._set(float(self._start if settings.adaptive else ceiling))
        self._doubling = True
        self._unloaded_ms: float | None = None
        self._was_slow = False
        self._window = Window()
        self._from_before = 0

    def add(self, latencies_ms: Sequence[float], in_flight: int) -> None:
        """Note requests that were carried out; `in_flight` counts them, too."""
        if self._adaptive and (news := latencies_ms[self._passed_over(len(latencies_ms)) :]):
            self._window.add(news, in_flight)
            self._look_if_full(in_flight - len(latencies_ms))

    def add_overload(self, in_flight: int) -> None:
        """Note a request that was too much for the server; `in_flight` counts it, too."""
        if self._adaptive and not self._passed_over(1):
            self._window.add_overload(in_flight)
            self._look_if_full(in_flight - 1)

    def _passed_over(self, ended: int) -> int:
        # Sent under the larger limit: one cause, one decrease.
        from_before = min(self._from_before, ended)
        self._from_before -= from_before
        return from_before

    def _look_if_full(self, still_in_flight: int) -> None:
        if self._window.size >= max(SHORTEST_WINDOW, self.limit):
            before = self._limit
            self._look_at(self._window)
            self._from_before = still_in_flight if self._limit < before else 0
            self._window = Window()

    def restart(self) -> None:
        """Begin carefully after an outage: the server may take less than before it, and soon as much again."""
        if self._adaptive:
            self._set(min(float(self._start), self._limit))
            self._doubling, self._window = True, Window()
            self._from_before = 0

    def back_off(self, still_in_flight: int) -> None:
        """Decrease now: nearly everything that was sent lately was too much."""
        if self._adaptive:
            self._shrink(BACK_OFF)
            self._from_before, self._window = still_in_flight, Window()

    def _look_at(self, window: Window) -> None:
        if window.overloads > TOLERATED * window.size:
            self._shrink(BACK_OFF)
        elif (gradient := self._gradient(window)) < 1:
            # One slow window may be a stall of this machine's own: the limit rests, and shrinks when the next is slow.
            if self._was_slow:
                self._shrink(max(BACK_OFF, gradient))
            self._was_slow = not self._was_slow
            return
        elif window.most_in_flight >= self.limit * 0.8:
            self._grow()
        self._was_slow = False

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

    def _grow(self) -> None:
        step = self._limit if self._doubling else max(1.0, math.sqrt(self._limit) / 4)
        self._set(min(float(self._ceiling), self._limit + step))

    def _set(self, limit: float) -> None:
        self._limit = limit
        self.limit = int(limit)


class Rate:
    """The limit on requests per second: the author's, and what a refusing server seems to allow.

    `next_s` is the moment from which on the next request may be sent.
    """

    def __init__(self, per_s: float | None) -> None:
        self._most = per_s or math.inf
        self._rate = self._most
        self._refused_at = math.inf
        self._changed_s = -math.inf
        self.next_s = -math.inf
        self._accepted: deque[tuple[float, int]] = deque()
        self._accepting_s = -math.inf

    @property
    def per_s(self) -> float | None:
        """The rate of this moment; `None` without a limit."""
        return None if math.isinf(self._rate) else self._rate

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""
        if self._rate < math.inf:
            self._advance(now_s)
            # A sender that was late may catch up a twentieth of a second's worth, never more: no bursts.
            self.next_s = max(self.next_s, now_s - 0.05) + 1 / self._rate

    def accepted(self, now_s: float, begun_s: float, many: int = 1) -> None:
        """Note that the server has carried out so many requests, the last of which was sent at `begun_s`."""
        if begun_s > self._changed_s:
            self._accepting_s = min(self._accepting_s, now_s)
        self._accepted.append((now_s, many))
        while self._accepted[0][0] < now_s - 1.0:
            self._accepted.popleft()

    def is_repeated(self, begun_s: float) -> bool:
        """Return whether the refusal of a request sent at `begun_s` only says once more what the last one said.

        A server that has accepted nothing in between is still refusing, which tells nothing of what it allows.
        """
        return self._changed_s < begun_s < self._accepting_s

    def refused(self, now_s: float, begun_s: float, in_flight: int) -> None:
        """Note that the server has refused a request, sent at `begun_s`, because there were too many (429).

        What is in flight at this moment was most likely accepted before, and isn't counted yet.
        """
        if now_s - self._changed_s < 1.0 or begun_s < self._accepting_s:
            return
        lately = in_flight + sum(many for moment, many in self._accepted if moment >= now_s - 1.0)
        # Refused again so soon: the last estimate was too high, most likely the sum of two of the server's windows.
        known = self._rate * (OVERESTIMATE if now_s - self._changed_s < SOON_S else 1.0)
        # Just after a pause little has been accepted lately: one refusal is never worth more than half of the rate.
        least = 1.0 if math.isinf(known) else max(1.0, known / 2)
        self._refused_at = max(least, min(float(lately), known))
        self._rate = min(self._most, self._refused_at * RATE_BACK_OFF)
        self._changed_s, self._accepting_s = now_s, math.inf

    def _advance(self, now_s: float) -> None:
        # Towards the aim quickly, then a rest, then beyond it slowly.
        if math.isinf(self._refused_at):
            return
        since = now_s - self._changed_s
        aim = self._refused_at * AIM
        recovered = self._refused_at * (RATE_BACK_OFF + RECOVERY_PER_S * since)
        beyond = self._refused_at * (AIM + PROBE_PER_S2 * max(0.0, since - HOLD_S) ** 2)
        self._rate = min(self._most, recovered if recovered < aim else beyond)


class Limiter:
    """Says when the next request may be sent, and learns from each that ends.

    From `paused_s` to `paused_until_s`, moments of the caller's clock, nobody may send.
    """

    def __init__(self, settings: Throttle, ceiling: int) -> None:
        self._concurrency = Concurrency(settings, ceiling)
        self._rate = Rate(settings.rate_per_s)
        self.paused_s = self.paused_until_s = -math.inf
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"Limiter({self.in_flight} of {self._concurrency.limit} in flight, {self._rate.per_s} per second)"

    def wait_s(self, now_s: float) -> float:
        """Return 0 if a request may be sent now, else how long to wait; infinity until one under way has ended."""
        if self.in_flight >= self._concurrency.limit:
            return math.inf
        wait_s = max(self.paused_until_s, self._rate.next_s) - now_s
        return max(0.0, wait_s)

    @property
    def room(self) -> int:
        """How many requests may be sent when nobody has to wait."""
        # A rate is kept by looking at the clock before each.
        return 1 if self._rate.per_s is not None else self._concurrency.limit - self.in_flight

    def begin(self, now_s: float, many: int = 1) -> None:
        """Note that so many requests are sent, no more than there is room for."""
        self.in_flight += many
        self._rate.sent(now_s)

    def answered(self, latencies_ms: Sequence[float], now_s: float) -> None:
        """Note that requests have had good answers, with nothing else to say."""
        self._concurrency.add(latencies_ms, self.in_flight)
        self.in_flight -= len(latencies_ms)
        self._rate.accepted(now_s, now_s - min(latencies_ms) / 1000, len(latencies_ms))

    def end(self, outcome: Outcome, ms: float, now_s: float) -> None:
        """Note what came of a request."""
        begun_s = now_s - ms / 1000
        is_refused = outcome.status == 429
        is_known = is_refused and self._rate.is_repeated(begun_s)
        is_answer, overload = outcome.kind in ANSWERS, is_overload(outcome)
        if overload and not is_known:
            self._concurrency.add_overload(self.in_flight)
        elif is_answer:
            self._concurrency.add([ms], self.in_flight)
        self.in_flight -= 1
        if is_refused:
            self._rate.refused(now_s, begun_s, self.in_flight)
        elif is_answer:
            self._rate.accepted(now_s, begun_s)
        if outcome.retry_after_s is not None:
            self.pause(outcome.retry_after_s, now_s)

    def pause(self, pause_s: float, now_s: float) -> None:
        """Let nobody send for so long."""
        if now_s >= self.paused_until_s:
            self.paused_s = now_s
        self.paused_until_s = max(self.paused_until_s, now_s + pause_s)

    @property
    def next_s(self) -> float:
        """The moment from which on the rate allows the next request."""
        return self._rate.next_s

    def restart(self) -> None:
        """Begin carefully after an outage."""
        self._concurrency.restart()

    def back_off(self) -> None:
        """Send fewer at once: what came beyond what is still under way was refused."""
        self._concurrency.back_off(self.in_flight)

    def state(self, now_s: float) -> dict[str, Any]:
        """Return the limits of this moment, as plain JSON."""
        per_s = self._rate.per_s
        return {
            "limit": self._concurrency.limit,
            "rate_limit_per_s": None if per_s is None else round(per_s, 1),
            "paused_s": round(max(0.0, self.paused_until_s - now_s), 1),
        }


def is_overload(outcome: Outcome) -> bool:
    """Return whether an outcome says that the server has too much to do: also by resetting or refusing connections."""
    return outcome.kind in _BROKEN or outcome.status in _LATE
