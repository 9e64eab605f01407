"""What arrived: counts of requests, connections and answers show what a client really did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakSet

from harness.service.faults import Turn
from harness.service.ledger import ExportLedger, PageLedger
from harness.service.pace import Pace
from harness.service.tokens import TokenCounts

if TYPE_CHECKING:
    import asyncio

    from harness.service.faults import Fault

CALLS = "/calls"
INVOICES = "/invoices"
# What a quota is about, and whose pace is counted.
PACED = frozenset({CALLS, INVOICES})
MOST_NAMED = 10
UNANSWERED = "unanswered"


@dataclass(slots=True)
class Counters:
    """Counts since the start or the last reset.

    A connection on which only /stats, /faults and /healthz were asked for is an observer's:
    ``connections`` leaves it out. A request that found the service down is ``refused`` and has no status.
    """

    pace: Pace
    requests: int = 0
    accepted: int = 0
    observers: int = 0
    refused: int = 0
    subscribers_asked: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    by_path: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    pages: PageLedger = field(default_factory=PageLedger)
    exports: ExportLedger = field(default_factory=ExportLedger)
    tokens: TokenCounts = field(default_factory=TokenCounts)
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

    def request_arrived(self, path: str, transport: asyncio.BaseTransport | None, now: float) -> None:
        """Count a request by the path's pattern; one for calls or invoices by its second, too."""
        self.requests += 1
        self.by_path[path] += 1
        if path in PACED:
            self.pace.arrived(now)
        if transport is None:
            return
        if transport in self._observing:
            self._observing.discard(transport)
            self.observers -= 1
        self._carrying.add(transport)

    def request_refused(self) -> None:
        """Count a request whose connection was aborted because the service is down."""
        self.refused += 1

    def request_ended(self, status: int | None, arrived: float) -> None:
        """Count an answer by its status, or that the client got none."""
        self.by_status[UNANSWERED if status is None else str(status)] += 1
        if status == 429:
            self.pace.refused(arrived)

    def calls_began(self) -> None:
        """Count a request for a subscriber's calls that now waits for its answer."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        self.pace.in_flight(self.in_flight)

    def calls_ended(self) -> None:
        """Count the end of that wait."""
        self.in_flight -= 1

    def subscriber_asked(self, tel: str) -> Turn:
        """Count a request for a subscriber's calls; return which one it is."""
        self.subscribers_asked += 1
        self.asked[tel] += 1
        return Turn(tel, self.asked[tel], self.subscribers_asked, self.in_flight)

    def fault_met(self, fault: Fault) -> None:
        """Count a fault that a request met."""
        self.by_fault[fault] += 1

    def reset(self, now: float) -> None:
        """Set the counts to zero; what is in flight stays in flight, open connections are not counted again."""
        self.requests = self.accepted = self.observers = self.refused = self.subscribers_asked = 0
        self.peak_in_flight = self.in_flight
        self._carrying |= self._observing
        self._observing.clear()
        for counts in (self.by_path, self.by_status, self.by_fault, self.asked):
            counts.clear()
        self.pages.reset()
        self.exports.reset()
        self.tokens = TokenCounts()
        self.pace = Pace(now)

    def as_json(self, now: float) -> dict[str, object]:
        """Return the counts as /stats tells them."""
        most = self.asked.most_common(MOST_NAMED)
        return {
            "requests": self.requests,
            "connections": self.accepted - self.observers,
            "refused": self.refused,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "concurrency": self.pace.concurrency(now),
            "by_path": dict(self.by_path),
            "by_status": dict(self.by_status),
            "by_fault": dict(self.by_fault),
            "by_second": self.pace.by_second(now),
            "pages": self.pages.as_json(),
            "exports": self.exports.as_json(),
            "tokens": self.tokens.as_json(),
            "asked": {
                "distinct": len(self.asked),
                "most": most[0][1] if most else 0,
                "twice_or_more": [tel for tel, times in most if times > 1],
            },
        }
