"""What a server's clock shows, by this machine's: from its answers and how long they took."""

from __future__ import annotations

# A clock of a computer gains or loses no more than this (IEEE 1588 calls for better, RFC 5905 reckons with so much).
DRIFT = 50e-6


class ServerClock:
    """By how much a server's clock is ahead of a monotonic clock, in microseconds.

    Between a question and its answer, the server's clock has shown what the answer says: each answer narrows the
    difference down. An answer that contradicts the ones before means that the server's clock was set.

    :param step_us: the smallest step of what the server says.
    """

    def __init__(self, step_us: int) -> None:
        self._step_us = step_us
        self._least_us = self._most_us = 0.0
        self._at_us: int | None = None

    def heard(self, server_us: int, asked_us: int, answered_us: int) -> int:
        """Note what the server's clock has shown at some moment between a question and its answer.

        Return by how many microseconds the clock was put forward since the last answer: below 0 if it was put back, 0
        if nothing says so.
        """
        before_us, is_set = self.ahead_us, False
        least_us, most_us = float(server_us - answered_us), float(server_us + self._step_us - asked_us)
        if self._at_us is not None:
            drift_us = DRIFT * (answered_us - self._at_us)
            older_least_us, older_most_us = self._least_us - drift_us, self._most_us + drift_us
            is_set = max(least_us, older_least_us) > min(most_us, older_most_us)
            if not is_set:
                least_us, most_us = max(least_us, older_least_us), min(most_us, older_most_us)
        self._least_us, self._most_us, self._at_us = least_us, most_us, answered_us
        return self.ahead_us - before_us if is_set else 0

    @property
    def ahead_us(self) -> int:
        """The middle of what is possible; what is known of it is wrong by half of that at most."""
        return round((self._least_us + self._most_us) / 2)
