"""How fast requests may follow each other: decided from what comes back.

What a server that refuses by 429 has just accepted is what it allows; the rate approaches that from below and stays
there a while before it tries for more, as CUBIC does (RFC 9438).
"""

from __future__ import annotations

import math
from collections import deque

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
    """The limit on requests per second: the author's, and what a refusing server seems to allow.

    `next_s` is the moment from which on the next request may be sent.
    """

    def __init__(self, per_s: float | None) -> None:
        self._most = per_s or math.inf
        self._rate = self._most
        self._refused_at = math.inf
        self._changed_s = -math.inf
        self.next_s = -math.inf
        self._accepted: deque[tuple[float, int]] = deque()
        self._accepting_s = -math.inf

    @property
    def per_s(self) -> float | None:
        """The rate of this moment; `None` without a limit."""
        return None if math.isinf(self._rate) else self._rate

    def allow(self, per_s: float) -> None:
        """Take another limit for the author's from now on; what a server seems to allow is as it was."""
        self._most = per_s
        self._rate = per_s if math.isinf(self._refused_at) else min(per_s, self._rate)

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""
        if self._rate < math.inf:
            self._advance(now_s)
            # A sender that was late may catch up a twentieth of a second's worth, never more: no bursts.
            self.next_s = max(self.next_s, now_s - 0.05) + 1 / self._rate

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

    def refused(self, now_s: float, begun_s: float, in_flight: int) -> None:
        """Note that the server has refused a request, sent at `begun_s`, because there were too many (429).

        What is in flight at this moment was most likely accepted before, and isn't counted yet.
        """
        if now_s - self._changed_s < 1.0 or begun_s < self._accepting_s:
            return
        lately = in_flight + sum(many for moment, many in self._accepted if moment >= now_s - 1.0)
        # Refused again so soon: the last estimate was too high, most likely the sum of two of the server's windows.
        known = self._rate * (OVERESTIMATE if now_s - self._changed_s < SOON_S else 1.0)
        # Just after a pause little has been accepted lately: one refusal is never worth more than half of the rate.
        least = 1.0 if math.isinf(known) else max(1.0, known / 2)
        self._refused_at = max(least, min(float(lately), known))
        self._rate = min(self._most, self._refused_at * RATE_BACK_OFF)
        self._changed_s, self._accepting_s = now_s, math.inf

    def _advance(self, now_s: float) -> None:
        # Towards the aim quickly, then a rest, then beyond it slowly.
        if math.isinf(self._refused_at):
            return
        since = now_s - self._changed_s
        aim = self._refused_at * AIM
        recovered = self._refused_at * (RATE_BACK_OFF + RECOVERY_PER_S * since)
        beyond = self._refused_at * (AIM + PROBE_PER_S2 * max(0.0, since - HOLD_S) ** 2)
        self._rate = min(self._most, recovered if recovered < aim else beyond)
