"""Virtual time: what is to happen, in order."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

# When each simulation begins: on 2026-11-18, at 11:06:40.
BEGINS = datetime.fromtimestamp(1_795_000_000, UTC)
# Called with what the event is about.
Act = Callable[[Any], None]


class World:
    """Runs events in the order of their moments, and those of one moment in the order in which they were planned.

    `now_s` is the moment that it has come to, in seconds, and `chance` decides everything that is drawn.

    :param seed: the same seed gives the same events.
    """

    def __init__(self, seed: int) -> None:
        self.now_s = 0.0
        self.chance = random.Random(seed)
        self._events: list[tuple[float, int, Act, Any]] = []
        self._order = count()

    def clock(self) -> float:
        """Return the present moment, as `time.monotonic` would."""
        return self.now_s

    def date(self) -> datetime:
        """Return the present moment as a date and a time of day, in UTC."""
        return BEGINS + timedelta(seconds=self.now_s)

    def after(self, wait_s: float, act: Act, about: Any = None) -> None:
        """Let something happen after a wait, in seconds."""
        heapq.heappush(self._events, (self.now_s + wait_s, next(self._order), act, about))

    def run(self, until_s: float = math.inf) -> None:
        """Let everything happen that is planned up to a moment; what happens may plan more."""
        events, pop = self._events, heapq.heappop
        while events and events[0][0] <= until_s:
            self.now_s, _, act, about = pop(events)
            act(about)
