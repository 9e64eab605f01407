"""How many requests a fetch may send, whatever the server takes: asked before each of them."""

from __future__ import annotations

import math
from typing import Protocol


class RequestBudget(Protocol):
    """What decides that, told the time, in seconds of the caller's clock.

    `per_s` is the most requests per second at this moment, `None` if there is no limit; `next_s` is the moment from
    which on the next request may be sent.
    """

    @property
    def per_s(self) -> float | None:
        """The rate."""

    @property
    def next_s(self) -> float:
        """The moment of the next request."""

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""


class LocalBudget:
    """The rate of one engine, which asks nobody else: its share of the author's."""

    def __init__(self, per_s: float | None) -> None:
        self.per_s = per_s
        self.next_s = -math.inf

    def allow(self, per_s: float) -> None:
        """Take another rate from now on."""
        self.per_s = per_s

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""
        if self.per_s is not None:
            self.next_s = paced_s(self.next_s, now_s, self.per_s)


def paced_s(next_s: float, now_s: float, per_s: float) -> float:
    """Return when the next request may be sent after one that is sent now, and might have been at `next_s`."""
    # A sender that was late may catch up a twentieth of a second's worth, never more: no bursts.
    return max(next_s, now_s - 0.05) + 1 / per_s
