"""A server and its clients in simulated time: what a throttle does in minutes is seen in milliseconds."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from airflow_fanout.control.throttle import Limiter
from airflow_fanout.model.outcome import Kind, Outcome

# (the time, how many are in flight with this one) -> (seconds it takes, what comes back)
Server = Callable[[float, int], tuple[float, Outcome]]
OK = Outcome(Kind.OK)
REFUSED = Outcome(Kind.HTTP_ERROR, status=429, retry_after_s=1.0)
BUSY = Outcome(Kind.HTTP_ERROR, status=503)
LATE = Outcome(Kind.TIMEOUT)
RESET = Outcome(Kind.CONNECTION_ERROR)


@dataclass
class Seen:
    """What was seen: when requests were sent, the limit over time, and what came back."""

    sent: list[float] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)
    ok: int = 0
    refused: int = 0
    seconds: float = 0.0
    most_in_flight: int = 0

    def limits_since(self, moment: float) -> list[int]:
        """Return the limits from a moment on."""
        return [limit for now, limit in self.limits if now >= moment]

    @property
    def refused_share(self) -> float:
        """The share of the requests that were refused because there were too many."""
        return self.refused / max(1, self.ok + self.refused)


def simulate(gate: Limiter, server: Server, seconds: float) -> Seen:
    """Send as much as the gate allows, for so long."""
    now, seen = 0.0, Seen()
    ends: list[tuple[float, int, float, Outcome]] = []
    order = 0
    while now < seconds:
        wait = gate.wait_s(now)
        if wait == 0.0:
            gate.begin(now)
            seen.sent.append(now)
            seen.most_in_flight = max(seen.most_in_flight, gate.in_flight)
            took, outcome = server(now, gate.in_flight)
            order += 1
            heapq.heappush(ends, (now + took, order, took, outcome))
            continue
        coming = ends[0][0] if ends else math.inf
        now = min(now + wait, coming)
        if now == coming:
            _, _, took, outcome = heapq.heappop(ends)
            gate.end(outcome, took * 1000, now)
            seen.limits.append((now, gate.state(now)["limit"]))
            seen.ok += outcome.kind is Kind.OK
            seen.refused += outcome.status == 429
    seen.seconds = now
    return seen


def steady(latency_s: float) -> Server:
    """Return a server that takes the same time for everything."""
    return lambda _now, _in_flight: (latency_s, OK)


def knee(latency_s: float, most: int) -> Server:
    """Return a server whose latency doubles beyond so many requests at once."""
    return lambda _now, in_flight: (latency_s * (2 if in_flight > most else 1), OK)


def queue(latency_s: float, most: int) -> Server:
    """Return a server that serves so many at once, and lets the others wait in line."""
    return lambda _now, in_flight: (latency_s * max(1.0, in_flight / most), OK)


def quota(latency_s: float, per_s: int, offset_s: float = 0.0, late: Callable[[], float] = lambda: 0.0) -> Server:
    """Return a server that allows so many requests in each second of its clock, and refuses the others at once.

    :param late: draws how long a request is on its way.
    """
    windows: dict[int, int] = {}

    def answer(now: float, _in_flight: int) -> tuple[float, Outcome]:
        way_s = late()
        window = int(now + way_s + offset_s)
        windows[window] = windows.get(window, 0) + 1
        return (way_s + latency_s, OK) if windows[window] <= per_s else (way_s + 0.002, REFUSED)

    return answer


def scattered(draw: Callable[[], float]) -> Server:
    """Return a server that takes as long as a draw says."""
    return lambda _now, _in_flight: (draw(), OK)


def lossy(latency_s: float, timeout_s: float, share: float, chance: random.Random) -> Server:
    """Return a server that never answers some requests, whatever its load."""
    return lambda _now, _in_flight: (timeout_s, LATE) if chance.random() < share else (latency_s, OK)


def crowded(latency_s: float, most: int) -> Server:
    """Return a server that refuses what goes beyond so many requests at once."""
    return lambda _now, in_flight: (latency_s / 10, BUSY) if in_flight > most else (latency_s, OK)


def cold(latency_s: float, slow_s: float, first: int, most: int) -> Server:
    """Return a server whose first answers are slow, and whose latency doubles beyond so many requests at once."""
    asked = count(1)
    warm = knee(latency_s, most)
    return lambda now, in_flight: (slow_s, OK) if next(asked) <= first else warm(now, in_flight)


def resetting(latency_s: float, most: int) -> Server:
    """Return a server that resets each connection beyond so many at once, as soon as it is opened."""
    return lambda _now, in_flight: (0.001, RESET) if in_flight > most else (latency_s, OK)
