"""When the next request may be sent: the limits on how many are under way and how fast they follow each other, in one.

The decisions are pure but for the state that they keep; the time is always told, never asked. `concurrency` and `rate`
have what the server takes, each with its sources; `budget` has what the author allows. A server may also ask for a
pause for all requests (RFC 9110, 10.2.3: `Retry-After`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from airflow_fanout.control.budget import LocalBudget, RequestBudget
from airflow_fanout.control.concurrency import Concurrency
from airflow_fanout.control.rate import Rate
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.model.settings import Throttle

_LATE = frozenset({429, 503})
_BROKEN = frozenset({Kind.TIMEOUT, Kind.CONNECTION_ERROR})
# Only these tell the latency: a refusal may take no time at all.
ANSWERS = frozenset({Kind.OK, Kind.NULL})


class Limiter:
    """Says when the next request may be sent, and learns from each that ends.

    From `paused_s` to `paused_until_s`, moments of the caller's clock, the server lets nobody send. `held_s` is the
    moment since which nobody may send because there are no credentials that are good; `None` if there are.

    :param settings: how carefully to begin, and whether to learn at all.
    :param ceiling: the most requests at once.
    :param budget: how many requests may be sent; by the settings' rate, if not given.
    """

    def __init__(self, settings: Throttle, ceiling: int, budget: RequestBudget | None = None) -> None:
        self._concurrency = Concurrency(settings, ceiling)
        self._budget = budget or LocalBudget(settings.rate_per_s)
        self._rate = Rate()
        self.paused_s = self.paused_until_s = -math.inf
        self.held_s: float | None = None
        # Looked at before each request: the end of the pause, or no end at all.
        self._shut_until_s = -math.inf
        self.in_flight = 0

    def __repr__(self) -> str:
        return f"Limiter({self.in_flight} of {self._concurrency.limit} in flight, {self._per_s} per second)"

    def wait_s(self, now_s: float) -> float:
        """Return 0 if a request may be sent now, else how long to wait, in seconds; infinity until one has ended.

        :param now_s: the time of a monotonic clock, in seconds, as everywhere here.
        """
        if self.in_flight >= self._concurrency.limit:
            return math.inf
        wait_s = max(self._shut_until_s, self._rate.next_s, self._budget.next_s) - now_s
        return max(0.0, wait_s)

    @property
    def room(self) -> int:
        """How many requests may be sent when nobody has to wait."""
        # A rate is kept by looking at the clock before each.
        is_paced = self._rate.per_s is not None or self._budget.per_s is not None
        return 1 if is_paced else self._concurrency.limit - self.in_flight

    def begin(self, now_s: float, many: int = 1) -> None:
        """Note that `many` requests are sent; there must be room for them."""
        self.in_flight += many
        if self._budget.per_s is not None:
            self._budget.sent(now_s)
        if self._rate.per_s is not None:
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
        is_answer = outcome.kind in ANSWERS
        # A server that has too much to do may also reset or refuse connections.
        is_overload = outcome.kind in _BROKEN or outcome.status in _LATE
        if is_overload and not is_known:
            self._concurrency.add_overload(self.in_flight)
        elif is_answer:
            self._concurrency.add([ms], self.in_flight)
        self.in_flight -= 1
        if is_refused and not (self._budget.slows_all and outcome.retry_after_s is not None):
            self._rate.refused(now_s, begun_s, self.in_flight, self._budget.per_s)
        elif is_answer:
            self._rate.accepted(now_s, begun_s)
        if outcome.retry_after_s is not None:
            self.pause(outcome.retry_after_s, now_s)
            self._budget.asked_to_wait(outcome.retry_after_s)

    def cap(self, at_once: int) -> None:
        """Let no more than this number of requests be under way: the share of a limit that others have, too."""
        self._concurrency.cap(at_once)

    def abandon(self) -> None:
        """Note that a request is under way no more, of which nothing is known."""
        self.in_flight -= 1

    def pause(self, pause_s: float, now_s: float) -> None:
        """Let nobody send for so long."""
        if now_s >= self.paused_until_s:
            self.paused_s = now_s
        self.paused_until_s = max(self.paused_until_s, now_s + pause_s)
        if self.held_s is None:
            self._shut_until_s = self.paused_until_s

    def hold(self, now_s: float) -> None:
        """Let nobody send until `release` is called."""
        self.held_s = now_s if self.held_s is None else self.held_s
        self._shut_until_s = math.inf

    def release(self) -> None:
        """Let requests be sent again, once a pause that the server has asked for is over."""
        self.held_s = None
        self._shut_until_s = self.paused_until_s

    def leave(self) -> None:
        """Note that a request has ended that says nothing of what the server takes."""
        self.in_flight -= 1

    def slowed(self, now_s: float) -> tuple[str, float | None] | None:
        """Return which limit on requests per second the next one waits for, and until when; `None` for none."""
        until_s = self._rate.next_s
        own = ("the limit on requests per second", until_s) if until_s > now_s else None
        wait = self._budget.wait(now_s)
        return own if wait is None or (wait[1] is not None and wait[1] < until_s) else wait

    @property
    def _per_s(self) -> float | None:
        allowed, most = self._rate.per_s, self._budget.per_s
        return most if allowed is None else allowed if most is None else min(allowed, most)

    def restart(self) -> None:
        """Begin carefully after an outage."""
        self._concurrency.restart()

    def back_off(self) -> None:
        """Send fewer at once: what came beyond what is still under way was refused."""
        self._concurrency.back_off(self.in_flight)

    def state(self, now_s: float) -> dict[str, Any]:
        """Return the limits of this moment, as plain JSON."""
        per_s, learned_per_s, most_per_s = self._per_s, self._rate.per_s, self._budget.per_s
        refuses = learned_per_s is not None and (most_per_s is None or learned_per_s < most_per_s)
        return {
            "limit": self._concurrency.limit,
            "rate_limit_per_s": None if per_s is None else round(per_s, 1),
            "paused_s": round(max(0.0, self.paused_until_s - now_s), 1),
            # Whether that rate is what the server takes, and not what the author allows.
            **({"refuses": True} if refuses else {}),
        }
