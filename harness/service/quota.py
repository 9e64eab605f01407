"""How many requests are welcome in a second, and what the answers say about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import formatdate

# With windows of one second, the next one is never further away.
RESET_S = 1


@dataclass(frozen=True, slots=True)
class QuotaState:
    """Where a request stands with the quota when it arrives: within it or not, and how many more would be."""

    within: bool
    limit: int
    remaining: int

    def headers(self) -> dict[str, str]:
        """Return the standing as RateLimit headers; Reset is in seconds."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(RESET_S),
        }


class Quota:
    """A quota by fixed windows: each second of the clock lets ``limit`` requests in, however they fall in it."""

    def __init__(self) -> None:
        self._window = -1
        self._taken = 0

    def ask(self, now: float, limit: int) -> QuotaState:
        """Return how a request at ``now`` stands; one that is within has used its share."""
        window = int(now)
        if window != self._window:
            self._window, self._taken = window, 0
        within = self._taken < limit
        self._taken += within
        # A limit can be lowered below what its window has let in already.
        return QuotaState(within, limit, max(0, limit - self._taken))


def retry_date(wait_s: int, now_epoch_s: float) -> str:
    """Return the HTTP date that ends a wait; rounded up, since it holds whole seconds and must not be too early."""
    return formatdate(math.ceil(now_epoch_s + wait_s), usegmt=True)
