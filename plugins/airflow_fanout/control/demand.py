"""How fast a fetch can send, by how many of its slots it uses."""

from __future__ import annotations

from airflow_fanout.control.frames import MICRO

# Slots that it may miss, by bad luck, without saying anything of how fast it is.
MISSED = 0.05
# With few requests under way at once, most of the time there is no place for the next one: of a single place, half of
# the slots are missed when it is in use for two thirds of the time. To ask for fewer would leave it unused.
MISSED_OF_ONE_PLACE = 0.5
# A fetch that uses nothing, such as during an outage, goes on asking for this share of the rate.
LEAST = 0.02


class Demand:
    """The rate that a fetch asks for; `wants_micro` is in requests per second, times a million.

    It is the most that the fetch may send, until it leaves slots unused: then a little more than it has used. When it
    uses its slots again, it doubles each time.

    :param most_micro: the most that it may send, by its author's settings.
    """

    def __init__(self, most_micro: int) -> None:
        self._most_micro = most_micro
        self.wants_micro = most_micro

    def note(self, sent: int, missed: int, passed_us: int, rate_micro: int, at_once: int) -> None:
        """Note what has become of the slots since the last time.

        :param sent: how many were used, and how many were `missed` that were there in time.
        :param passed_us: the time since then, in microseconds.
        :param rate_micro: the rate of the whole budget.
        :param at_once: how many requests may be under way.
        """
        if not sent + missed:
            # It had no slots, which says nothing of how fast it is.
            return
        tolerated = MISSED + MISSED_OF_ONE_PLACE / max(1, at_once)
        most_micro = min(self._most_micro, rate_micro)
        if missed > max(1.0, tolerated * (sent + missed)):
            # A little more than it has used, so that it is noticed when it can send faster.
            wants_micro = max((1 + 2 * tolerated) * sent * MICRO**2 / passed_us, LEAST * rate_micro)
        else:
            wants_micro = 2.0 * self.wants_micro
        self.wants_micro = round(max(1.0, min(wants_micro, most_micro)))
