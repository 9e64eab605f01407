"""The budget of one engine that sends in slots: moments that its parent has reserved for it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable

from airflow_fanout.control.budget import LocalBudget

# A slot is given up when it is so late: a window of five seconds then has at most 1.6 % more than the rate.
LATEST_S = 0.08
# At a low rate it may be late by this share of the time between two slots, of all engines, but never by more than 1 s.
LATE_SHARE = 0.25
MOST_LATE_S = 1.0


class ReservedBudget:
    """The slots that an engine holds, each for one request; it never sends a slot's request early.

    `sent_count` is how many requests were sent, `given_up` how many slots have passed unused, and `missed` how many of
    these were there in time. `at_once` is how many
    requests the engine may have under way: `None` for no limit but its own. `needs` is how many requests it has to
    send; `why` says what its next slot waits for, if that isn't its turn, and `closed_until_s` until when, if a quota
    or quiet hours close the budget.

    :param local: the author's own limit for this fetch, which counts as well.
    :param name: the name of the request budget.
    :param clock: the time of the clock that slots are moments of, in seconds.
    """

    slows_all = True

    def __init__(self, local: LocalBudget, name: str, clock: Callable[[], float]) -> None:
        self._local = local
        self._name = name
        self._clock = clock
        self._slots: deque[float] = deque()
        self._latest_s = LATEST_S
        self.per_s = 0.0
        self.at_once: int | None = 0
        self.needs = 0
        self.why = ""
        self.closed_until_s = -math.inf
        self.sent_count = self.given_up = self.missed = 0
        self.pause_asked_s = 0.0

    def __repr__(self) -> str:
        return f"ReservedBudget({self._name!r}, {len(self._slots)} slots)"

    def allow(self, per_s: float | None) -> None:
        """Take another rate of the author's from now on."""
        self._local.allow(per_s)

    def share(self, per_s: float, all_per_s: float) -> None:
        """Note which rate the slots have, of the rate of the whole budget; both in requests per second."""
        self.per_s = per_s
        # An operator may have set the rate to 0.
        spacing_s = 1 / all_per_s if all_per_s else MOST_LATE_S
        self._latest_s = min(MOST_LATE_S, max(LATEST_S, LATE_SHARE * spacing_s))

    def take(self, slots: Iterable[float], void_from_s: float = math.inf) -> None:
        """Take further slots.

        :param slots: their moments, in any order.
        :param void_from_s: slots that are held already are void if they are at this moment or later.
        """
        self._give_up()
        held = [moment for moment in self._slots if moment < void_from_s]
        self._slots = deque(sorted([*held, *slots]))
        # A slot that was over before it came doesn't say that the engine is slow.
        missed = self.missed
        self._give_up()
        self.missed = missed

    @property
    def held(self) -> int:
        """How many slots can still be used."""
        self._give_up()
        return len(self._slots)

    @property
    def next_s(self) -> float:
        """The moment of the next slot that can be used; infinity if there is none."""
        self._give_up()
        return max(self._local.next_s, self._slots[0]) if self._slots else math.inf

    def sent(self, now_s: float) -> None:
        """Note that a request is sent."""
        self._local.sent(now_s)
        self.sent_count += 1
        if self._slots:
            self._slots.popleft()

    def asked_to_wait(self, pause_s: float) -> None:
        """Note that the API has asked that nobody sends for so long."""
        self.pause_asked_s = max(self.pause_asked_s, pause_s)

    def wait(self, now_s: float) -> tuple[str, float | None] | None:
        """Return what the next request waits for, and until when if that is known; `None` if it needn't wait."""
        next_s = self.next_s
        if next_s <= now_s or not self.needs:
            return None
        why = self.why or f"its share of the request budget {self._name!r}"
        if next_s == math.inf and self.closed_until_s > now_s:
            return why, self.closed_until_s
        return why, None if next_s == math.inf else next_s

    def _give_up(self) -> None:
        late_s = self._clock() - self._latest_s
        while self._slots and self._slots[0] < late_s:
            self._slots.popleft()
            self.given_up += 1
            self.missed += 1
