"""When a client may send although the state of its budget is out of reach."""

from __future__ import annotations

import random
from collections.abc import Callable

from airflow_fanout.control.budget_state import Reservation
from airflow_fanout.control.frames import MICRO, SHORTEST_US, SlotRange
from airflow_fanout.control.reservations import FRAMES


class OfflineSlots:
    """A client's part of the rate that its budget allows offline; moments are of this machine's monotonic clock.

    It begins when all slots are over that others may have, who were the last to ask, and it is divided by the clients
    that there were. `is_on` says whether the state is out of reach.

    :param uniform: draws evenly from a range: clients that begin together don't send together.
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._last: Reservation | None = None
        self._reached_us: int | None = None
        self.is_on = False

    @property
    def rate_micro(self) -> int:
        """The client's part of the rate, in requests per second, times a million; 0 if nothing is known of others."""
        return self._last.limits.offline_micro // self._last.clients if self._last else 0

    def slots(self, now_us: int, until_us: int) -> tuple[SlotRange, ...]:
        """Return the further slots until a moment, while the state is out of reach."""
        self.is_on = True
        if self._last is None or not self.rate_micro:
            return ()
        spacing_us = MICRO**2 // self.rate_micro
        if self._reached_us is None:
            lease_us = self._last.lease_us
            longest_frame_us = max(SHORTEST_US, lease_us // FRAMES, MICRO**2 // self._last.limits.rate_micro)
            self._reached_us = round(now_us + lease_us + longest_frame_us + self._uniform(0, spacing_us))
        begin_us = max(self._reached_us, now_us)
        count = (until_us - begin_us) // spacing_us
        if count <= 0:
            return ()
        self._reached_us = begin_us + count * spacing_us
        return (SlotRange(begin_us=begin_us, length_us=count * spacing_us, of=count, first=0, count=count),)

    def end(self, now_us: int, from_us: int, reservation: Reservation) -> tuple[SlotRange, ...]:
        """Return the last slots, now that there is an answer again: until the moment at which those of the state begin.

        :param reservation: the answer, which says what counts the next time.
        """
        slots = self.slots(now_us, from_us) if self.is_on and self._reached_us is not None else ()
        self._last, self._reached_us, self.is_on = reservation, None, False
        return slots
