"""How many requests a fetch may send, whatever the server takes: asked before each of them."""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

# A request may take some milliseconds more or less to the server than the one before. A window that is longer by this
# share than a second keeps its number of requests out of a second of the server's, too.
MARGIN = 0.03


class RequestBudget(Protocol):
    """What decides that, told the time, in seconds of the caller's clock.

    `per_s` is the most requests per second at this moment, `None` if there is no limit; `next_s` is the moment from
    which on the next request may be sent. `slows_all` says that a pause that the API asks for slows down all that share
    the budget: nobody has to slow down alone.
    """

    slows_all: bool

    @property
    def per_s(self) -> float | None:
        """The rate."""

    @property
    def next_s(self) -> float:
        """The moment of the next request."""

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""

    def asked_to_wait(self, pause_s: float) -> None:
        """Note that the API has asked that nobody sends for so long, in seconds."""

    def wait(self, now_s: float) -> tuple[str, float | None] | None:
        """Return what the next request waits for, and until when if that is known; `None` if it needn't wait."""


class LocalBudget:
    """The rate of one engine, which asks nobody else: its share of the author's.

    Requests follow each other evenly, and there are never more of them in any second than the rate says: a sender that
    was late catches up only as far as that allows.
    """

    slows_all = False

    def __init__(self, per_s: float | None) -> None:
        self.next_s = -math.inf
        self._sent_s: deque[float] = deque()
        self.allow(per_s)

    def allow(self, per_s: float | None) -> None:
        """Take another rate from now on."""
        self.per_s = per_s
        self._window_s = 0.0
        if per_s is not None:
            # A rate of 12.5 per second is 12 requests in 0.96 s.
            most = max(1, int(per_s))
            self._sent_s = deque(self._sent_s, most)
            self._window_s = most / per_s * (1 + MARGIN)

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""
        if self.per_s is None:
            return
        self._sent_s.append(now_s)
        self.next_s = paced_s(self.next_s, now_s, self.per_s)
        if len(self._sent_s) == self._sent_s.maxlen:
            self.next_s = max(self.next_s, self._sent_s[0] + self._window_s)

    def asked_to_wait(self, pause_s: float) -> None:
        """Do nothing: whoever shares this engine's rate has a parent of its own."""

    def wait(self, now_s: float) -> tuple[str, float | None] | None:
        """Return what the next request waits for, and until when; `None` if it needn't wait."""
        return ("the limit on requests per second", self.next_s) if self.next_s > now_s else None


def paced_s(next_s: float, now_s: float, per_s: float) -> float:
    """Return when the next request may be sent after one that is sent now, and might have been at `next_s`."""
    # A sender that was late may catch up a twentieth of a second's worth, never more: no bursts.
    return max(next_s, now_s - 0.05) + 1 / per_s
