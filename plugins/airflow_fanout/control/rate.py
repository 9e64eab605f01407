"""How fast requests may follow each other for a server that refuses: decided from what comes back.

What a server that refuses by 429 has just accepted is what it allows; the rate approaches that from below and stays
there a while before it tries for more, as CUBIC does (RFC 9438).
"""

from __future__ import annotations

import math
from collections import deque

from airflow_fanout.control.budget import paced_s

# Of the rate at which a server refused: aim at so much of it, hold that for so long, then try for more, faster and
# faster, as CUBIC does: a server that allows more now is soon believed.
AIM = 0.97
HOLD_S = 20.0
PROBE_PER_S2 = 0.0005
RECOVERY_PER_S = 0.05
RATE_BACK_OFF = 0.85
SOON_S = 5.0
OVERESTIMATE = 0.9


class Rate:
    """The limit on requests per second that a refusing server seems to have.

    `per_s` is the rate of this moment, `None` until the server has refused; `next_s` is the moment from which on the
    next request may be sent.
    """

    def __init__(self) -> None:
        self.per_s: float | None = None
        self._refused_at = math.inf
        self._changed_s = -math.inf
        self.next_s = -math.inf
        self._accepted: deque[tuple[float, int]] = deque()
        self._accepting_s = -math.inf

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""
        if self.per_s is None:
            return
        # Towards the aim quickly, then a rest, then beyond it slowly.
        since = now_s - self._changed_s
        aim = self._refused_at * AIM
        recovered = self._refused_at * (RATE_BACK_OFF + RECOVERY_PER_S * since)
        beyond = self._refused_at * (AIM + PROBE_PER_S2 * max(0.0, since - HOLD_S) ** 2)
        self.per_s = recovered if recovered < aim else beyond
        self.next_s = paced_s(self.next_s, now_s, self.per_s)

    def accepted(self, now_s: float, begun_s: float, many: int = 1) -> None:
        """Note that the server has carried out `many` requests, the last of which was sent at `begun_s`."""
        if begun_s > self._changed_s:
            self._accepting_s = min(self._accepting_s, now_s)
        self._accepted.append((now_s, many))
        while self._accepted[0][0] < now_s - 1.0:
            self._accepted.popleft()

    def is_repeated(self, begun_s: float) -> bool:
        """Return whether the refusal of a request sent at `begun_s` only says once more what the last one said.

        A server that has accepted nothing in between is still refusing, which tells nothing of what it allows.
        """
        return self._changed_s < begun_s < self._accepting_s

    def refused(self, now_s: float, begun_s: float, in_flight: int, most_per_s: float | None = None) -> None:
        """Note that the server has refused a request, sent at `begun_s`, because there were too many (429).

        What is in flight at this moment was most likely accepted before, and isn't counted yet.

        :param most_per_s: the rate of the author's, above which nothing was sent.
        """
        if now_s - self._changed_s < 1.0 or begun_s < self._accepting_s:
            return
        lately = in_flight + sum(many for moment, many in self._accepted if moment >= now_s - 1.0)
        known = min(self.per_s or math.inf, most_per_s or math.inf)
        if now_s - self._changed_s < SOON_S:
            # Refused again so soon: the last estimate was too high, most likely the sum of two of the server's windows.
            known *= OVERESTIMATE
        # Just after a pause little has been accepted lately: one refusal is never worth more than half of the rate.
        least = 1.0 if math.isinf(known) else max(1.0, known / 2)
        self._refused_at = max(least, min(float(lately), known))
        self.per_s = self._refused_at * RATE_BACK_OFF
        self._changed_s, self._accepting_s = now_s, math.inf
