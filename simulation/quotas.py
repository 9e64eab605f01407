"""A quota as the API itself counts it: exactly, whatever a request budget makes of it."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass

from simulation.world import BEGINS

DAY_S = 86_400.0
# How much of the first day is over at the beginning.
BEGAN_S = (BEGINS - BEGINS.replace(hour=0, minute=0, second=0)).total_seconds()


@dataclass(frozen=True, kw_only=True)
class ApiQuota:
    """The number of requests that an API carries out in each day (UTC), or in any `window_s` seconds."""

    requests: int
    window_s: float | None = None


class QuotaCount:
    """Counts the requests that were carried out; `most` is the largest number in any period.

    `by_day` has their number on each day, from the first one on; of a rolling window it is empty.
    """

    def __init__(self, quota: ApiQuota) -> None:
        self.quota = quota
        self.most = 0
        self.by_day: Counter[int] = Counter()
        self._in_window: deque[float] = deque()

    def wait_s(self, now_s: float) -> float:
        """Return 0 if a further request is within the quota, else how long until one is, in seconds."""
        if self.quota.window_s is None:
            day, ends_s = _day(now_s)
            return 0.0 if self.by_day[day] < self.quota.requests else ends_s - now_s
        moments = self._in_window
        while moments and moments[0] <= now_s - self.quota.window_s:
            moments.popleft()
        return 0.0 if len(moments) < self.quota.requests else moments[0] + self.quota.window_s - now_s

    def add(self, now_s: float) -> None:
        """Count a request that is carried out; `wait_s` has let it through."""
        if self.quota.window_s is None:
            day, _ = _day(now_s)
            self.by_day[day] += 1
            self.most = max(self.most, self.by_day[day])
        else:
            self._in_window.append(now_s)
            self.most = max(self.most, len(self._in_window))

    @property
    def unused(self) -> int:
        """How many requests were left over at the ends of all days but the last one."""
        last = max(self.by_day, default=0)
        return sum(self.quota.requests - self.by_day[day] for day in range(last))


def _day(now_s: float) -> tuple[int, float]:
    """Return the number of the day, and when it ends."""
    day = math.floor((BEGAN_S + now_s) / DAY_S)
    return day, (day + 1) * DAY_S - BEGAN_S
