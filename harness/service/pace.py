"""How fast a client asks, second by second, and how much it keeps in flight."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

KEPT_S = 600
WATCHED_S = 10


@dataclass(slots=True)
class Second:
    """The requests that arrived in one second, and how many of these got 429."""

    requests: int = 0
    refused: int = 0


class Pace:
    """Requests by second for ten minutes, and how many were in flight at each arrival of the last ten seconds.

    Seconds are the clock's own, which makes them the quota's windows: no second has more requests without a
    429 than the quota allows. They are reported as offsets from that of the start, which may have begun before it.
    """

    def __init__(self, now: float) -> None:
        self._first = int(now)
        self._seconds: dict[int, Second] = {}
        self._watched: deque[tuple[int, Counter[int]]] = deque(maxlen=WATCHED_S)
        self._open(self._first)

    def arrived(self, now: float) -> None:
        """Count a request; ``now`` must not go backwards."""
        second = int(now)
        if second != self._latest:
            self._open(second)
        self._counts.requests += 1

    def refused(self, arrived: float) -> None:
        """Count a 429 for a request by the time at which that arrived."""
        if counts := self._seconds.get(int(arrived)):
            counts.refused += 1

    def in_flight(self, requests: int) -> None:
        """Note how many requests are in flight with the one that has just arrived."""
        self._sampled[requests] += 1

    def by_second(self, now: float) -> dict[int, dict[str, int]]:
        """Return the counts of the last ten minutes; seconds without a request are left out."""
        oldest = int(now) - KEPT_S
        return {
            second - self._first: {"requests": counts.requests, "refused": counts.refused}
            for second, counts in self._seconds.items()
            if second > oldest and counts.requests
        }

    def concurrency(self, now: float) -> dict[str, int]:
        """Return median and maximum in flight at the arrivals of this second and the nine before, else 0."""
        oldest = int(now) - WATCHED_S
        seen = Counter[int]()
        for second, sampled in self._watched:
            if second > oldest:
                seen.update(sampled)
        return {"median": _median(seen), "max": max(seen, default=0)}

    def _open(self, second: int) -> None:
        self._latest = second
        self._counts = self._seconds[second] = Second()
        self._sampled = Counter[int]()
        self._watched.append((second, self._sampled))
        if len(self._seconds) > KEPT_S:
            del self._seconds[next(iter(self._seconds))]


def _median(seen: Counter[int]) -> int:
    """Return the lowest number that at least half of what was seen doesn't exceed; 0 if nothing was."""
    left = seen.total() / 2
    for number in sorted(seen):
        left -= seen[number]
        if left <= 0:
            return number
    return 0
