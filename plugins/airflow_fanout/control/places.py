"""How the connections of a fetch share its places: how many requests are under way at once, over all of them.

Nobody is held up by a connection that is slow: how much one of them may take depends on what is free, as switches
divide their memory between ports (A. K. Choudhury, E. L. Hahne, "Dynamic Queue Length Thresholds for Shared-Memory
Packet Switches", 1998). So a part always stays free for those that have nothing under way.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from airflow_fanout.control.budget import RequestBudget
from airflow_fanout.control.throttle import Limiter
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.model.settings import Throttle

# How many places must stay free for each that a connection has, unless it has no more than an equal part of all. So the
# sixth connection that hangs still leaves places to those that have nothing under way.
FREE_FOR_EACH = 2


class Share:
    """What one connection has of the places.

    :param wake: called when it has waited for a place, and may ask again.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        self.wake = wake
        self.taken = 0


class Places:
    """The places of a fetch, shared by its connections.

    A share that has nothing under way and gets no place stands in a line. It is called when it is its turn; whoever is
    called asks again, and either takes a place or leaves it to the next.

    :param total: the most requests under way at once.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._shares: set[Share] = set()
        self._line: OrderedDict[Share, None] = OrderedDict()
        self._called: set[Share] = set()

    def __repr__(self) -> str:
        return f"Places({self._free} of {self._total} free, {len(self._line)} in the line)"

    def join(self, share: Share) -> None:
        """Let a connection take part."""
        self._shares.add(share)

    def leave(self, share: Share) -> None:
        """Let a connection's part go to the others: it is done."""
        self._shares.discard(share)
        self._free += share.taken
        share.taken = 0
        self.pass_on(share)

    def room_for(self, share: Share) -> int:
        """Return how many places a share may take now; if there are none, it is woken, or one of its own ends first."""
        was_called = share in self._called
        self._called.discard(share)
        self._line.pop(share, None)
        ahead = 0 if was_called else len(self._called) + len(self._line)
        free = self._free - ahead
        if free > 0 and (room := self._most(share, free)) > 0:
            return room
        if not share.taken:
            self._line[share] = None
            # It was its turn, and the place was gone.
            self._line.move_to_end(share, last=not was_called)
        return 0

    def _most(self, share: Share, free: int) -> int:
        least = 0 if share.taken else 1
        by_number = self._total // max(1, len(self._shares)) - share.taken
        by_what_is_free = (free - FREE_FOR_EACH * share.taken) // (1 + FREE_FOR_EACH)
        return min(free, max(least, by_number, by_what_is_free))

    def take(self, share: Share, many: int) -> None:
        """Note that requests of a share are sent.

        :param many: how many; there must be room for them.
        """
        share.taken += many
        self._free -= many
        self._call()

    def give_back(self, share: Share, many: int) -> None:
        """Note that requests of a share have ended."""
        many = min(many, share.taken)
        share.taken -= many
        self._free += many
        self._call()

    def pass_on(self, share: Share) -> None:
        """Leave a share's turn to the next: it waits for something else."""
        self._line.pop(share, None)
        self._called.discard(share)
        self._call()

    def tick(self) -> None:
        """Call the next if somebody who was called hasn't come; called about once a second."""
        self._called.clear()
        self._call()

    def _call(self) -> None:
        while self._line and self._free > len(self._called):
            share, _ = self._line.popitem(last=False)
            self._called.add(share)
            share.wake()


class SharedLimiter(Limiter):
    """The limits of one connection, whose requests need a place each.

    :param share: the connection's share of
    :param places: the places.

    `wants` says whether there is anything to send: who has nothing needs no place.
    """

    def __init__(
        self, settings: Throttle, ceiling: int, budget: RequestBudget | None, *, places: Places, share: Share
    ) -> None:
        super().__init__(settings, ceiling, budget)
        self._places = places
        self._share = share
        self._may_take = 1
        self.wants: Callable[[], bool] = lambda: True

    def wait_s(self, now_s: float) -> float:
        """Return 0 if a request may be sent now, else how long to wait, in seconds; infinity until one has ended."""
        wait_s = super().wait_s(now_s)
        if wait_s > 0.0 or not self.wants():
            self._places.pass_on(self._share)
            return wait_s
        self._may_take = self._places.room_for(self._share)
        return 0.0 if self._may_take else math.inf

    @property
    def room(self) -> int:
        """How many requests may be sent when nobody has to wait."""
        return max(1, min(super().room, self._may_take))

    def begin(self, now_s: float, many: int = 1) -> None:
        """Note that `many` requests are sent; there must be room for them."""
        super().begin(now_s, many)
        self._places.take(self._share, many)

    def answered(self, latencies_ms: Sequence[float], now_s: float) -> None:
        """Note that requests have had good answers, with nothing else to say."""
        super().answered(latencies_ms, now_s)
        self._places.give_back(self._share, len(latencies_ms))

    def end(self, outcome: Outcome, ms: float, now_s: float) -> None:
        """Note what came of a request."""
        super().end(outcome, ms, now_s)
        self._places.give_back(self._share, 1)

    def abandon(self) -> None:
        """Note that a request is under way no more, of which nothing is known."""
        super().abandon()
        self._places.give_back(self._share, 1)

    def leave(self) -> None:
        """Note that a request has ended that says nothing of what the server takes."""
        super().leave()
        self._places.give_back(self._share, 1)
