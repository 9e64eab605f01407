"""What arrived: counts of requests, connections and answers show what a client really did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    import asyncio

    from demo.service.faults import Fault

MOST_NAMED = 10
UNANSWERED = "unanswered"


@dataclass(slots=True)
class Counters:
    """Counts since the start or the last reset.

    A connection on which only /stats, /faults and /healthz were asked for is an observer's:
    ``connections`` leaves it out.
    """

    requests: int = 0
    accepted: int = 0
    observers: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    by_path: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    _observing: WeakSet[asyncio.BaseTransport] = field(default_factory=WeakSet)
    _carrying: WeakSet[asyncio.BaseTransport] = field(default_factory=WeakSet)

    def connection_accepted(self) -> None:
        """Count a TCP connection."""
        self.accepted += 1

    def observed(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that the service was looked at through a connection."""
        if transport is not None and transport not in self._carrying and transport not in self._observing:
            self._observing.add(transport)
            self.observers += 1

    def request_arrived(self, path: str, transport: asyncio.BaseTransport | None) -> None:
        """Count a request by the path's pattern."""
        self.requests += 1
        self.by_path[path] += 1
        if transport is None:
            return
        if transport in self._observing:
            self._observing.discard(transport)
            self.observers -= 1
        self._carrying.add(transport)

    def request_ended(self, status: int | None) -> None:
        """Count an answer by its status, or that the client got none."""
        self.by_status[UNANSWERED if status is None else str(status)] += 1

    def calls_began(self) -> None:
        """Count a request for a subscriber's calls that now waits for its answer."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def calls_ended(self) -> None:
        """Count the end of that wait."""
        self.in_flight -= 1

    def subscriber_asked(self, tel: str) -> int:
        """Count a request for a subscriber's calls; return how many there have been, with this one."""
        self.asked[tel] += 1
        return self.asked[tel]

    def fault_met(self, fault: Fault) -> None:
        """Count a fault that a request met."""
        self.by_fault[fault] += 1

    def reset(self) -> None:
        """Begin anew; what is in flight stays in flight, open connections are not counted again."""
        self.requests = self.accepted = self.observers = 0
        self.peak_in_flight = self.in_flight
        self._carrying |= self._observing
        self._observing.clear()
        for counts in (self.by_path, self.by_status, self.by_fault, self.asked):
            counts.clear()

    def as_json(self) -> dict[str, object]:
        """Return the counts as /stats tells them."""
        most = self.asked.most_common(MOST_NAMED)
        return {
            "requests": self.requests,
            "connections": self.accepted - self.observers,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "by_path": dict(self.by_path),
            "by_status": dict(self.by_status),
            "by_fault": dict(self.by_fault),
            "asked": {
                "distinct": len(self.asked),
                "most": most[0][1] if most else 0,
                "twice_or_more": [tel for tel, times in most if times > 1],
            },
        }
