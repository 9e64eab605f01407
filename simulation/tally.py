"""What is counted of requests, second by second."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest

# This number of requests are the first ones.
EARLY = 1_000


class Tally:
    """Counts requests; `by_second` has their number in each second from the beginning, `refused` those that got 429.

    `refused_early` counts those of the latter that were among the first requests.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.refused = 0
        self.refused_early = 0
        self.by_second: list[int] = []

    def add(self, now_s: float) -> None:
        """Count a request that is sent at a moment."""
        self.sent += 1
        second, seconds = int(now_s), self.by_second
        if second >= len(seconds):
            seconds.extend([0] * (second + 1 - len(seconds)))
        seconds[second] += 1

    def refuse(self) -> None:
        """Note that the request that was counted last is refused."""
        self.refused += 1
        self.refused_early += self.sent <= EARLY

    @classmethod
    def sum(cls, tallies: Sequence[Tally]) -> Tally:
        """Return the counts of several."""
        total = cls()
        total.sent = sum(tally.sent for tally in tallies)
        total.refused = sum(tally.refused for tally in tallies)
        total.by_second = [sum(counts) for counts in zip_longest(*(tally.by_second for tally in tallies), fillvalue=0)]
        return total

    def rate(self, since_s: int, until_s: int) -> float:
        """Return the requests per second between two moments."""
        return sum(self.by_second[since_s:until_s]) / (until_s - since_s)

    def reached(self, share: float) -> float:
        """Return the moment at which a share of all requests was sent, as if they were even within a second."""
        missing = share * self.sent
        for second, count in enumerate(self.by_second):
            if missing <= count:
                return second + missing / count
            missing -= count
        return float(len(self.by_second))

    def steps(self, seconds: int) -> list[float]:
        """Return the requests per second in each step of this many seconds; what is left over isn't in it."""
        places = range(0, len(self.by_second) + 1, seconds)
        return [self.rate(since_s, until_s) for since_s, until_s in pairwise(places)]


def evenness(rates: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 if all have the same, 1/n if one of n has everything.

    R. Jain, D. Chiu, W. Hawe, "A Quantitative Measure of Fairness and Discrimination", 1984.
    """
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 1.0
