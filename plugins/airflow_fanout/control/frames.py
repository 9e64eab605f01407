"""The time to come, cut into frames of evenly spaced slots; a slot is the moment for one request.

A frame knows only how many of its slots are taken. They are taken in an order that jumps by the golden section, so that
any run of them is spread nearly evenly over the frame (the three-distance theorem: V. Sós, 1958), whoever takes how
many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import msgspec
from msgspec.structs import replace

MICRO = 1_000_000
# The shortest frame: the fewer there are, the smaller is the document; the shorter, the sooner a new rate counts.
SHORTEST_US = 250_000
GOLDEN_SECTION = (math.sqrt(5) - 1) / 2
# This number of its neighbours on each side are compared with it.
TRIED = 20


class SlotRange(msgspec.Struct, frozen=True, kw_only=True):
    """Slots of one frame: `count` of them, from the place `first` of the order in which they are taken.

    :param begin_us: when the frame begins; `length_us` is its length, in microseconds, and `of` its number of slots.
    """

    begin_us: int
    length_us: int
    of: int
    first: int
    count: int

    def moments(self) -> Iterator[int]:
        """Yield the moments of the slots, in no particular order."""
        step = _step(self.of)
        for place in range(self.first, self.first + self.count):
            yield self.begin_us + place * step % self.of * self.length_us // self.of

    def parts(self, shares: Sequence[int]) -> list[SlotRange]:
        """Return the range cut into as many parts as there are shares, whose sizes have the ratio of these.

        :param shares: whole numbers, whose sum isn't 0. Each part is rounded down, and the next one takes the rest.
        """
        whole = sum(shares)
        ends = [self.count * reached // whole for reached in accumulate(shares, initial=0)]
        return [replace(self, first=self.first + begin, count=end - begin) for begin, end in pairwise(ends)]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time with evenly spaced slots, the first `taken` of which belong to somebody."""

    begin_us: int
    length_us: int
    slots: int
    taken: int = 0

    @property
    def end_us(self) -> int:
        """When the next frame begins."""
        return self.begin_us + self.length_us

    @property
    def left(self) -> int:
        """How many slots nobody has."""
        return self.slots - self.taken

    def reach(self, count: int, now_us: int) -> tuple[int, int]:
        """Return how many slots to take for `count` of them to be still to come, and how many of them are.

        What is over, nobody can use any more: who takes what is left of a frame that has begun takes that as well.
        """
        if now_us <= self.begin_us:
            return min(count, self.left), min(count, self.left)
        ahead, step = 0, _step(self.slots)
        for place in range(self.taken, self.slots):
            if ahead == count:
                return place - self.taken, ahead
            ahead += self.begin_us + place * step % self.slots * self.length_us // self.slots >= now_us
        return self.left, ahead

    def take(self, count: int) -> tuple[Frame, SlotRange]:
        """Return the frame in which `count` more slots belong to somebody, and these slots.

        :param count: at most `left`.
        """
        taken = SlotRange(
            begin_us=self.begin_us, length_us=self.length_us, of=self.slots, first=self.taken, count=count
        )
        return replace(self, taken=self.taken + count), taken


def frames_until(until_us: int, from_us: int, rate_micro: int, length_us: int = SHORTEST_US) -> Iterator[Frame]:
    """Yield frames from one moment on, until another lies in one of them; none, if that isn't later.

    :param rate_micro: requests per second, times a million.
    :param length_us: about how long they are; at a low rate they are as long as one slot.
    """
    slots = max(1, rate_micro * max(SHORTEST_US, length_us) // MICRO**2)
    # The next slot after the frame's last one is the first of the frame after it.
    length_us = -(-slots * MICRO**2 // rate_micro)
    while from_us < until_us:
        yield Frame(begin_us=from_us, length_us=length_us, slots=slots)
        from_us += length_us


@lru_cache
def _step(slots: int) -> int:
    """Return a number near the golden section of the slots, by which all of them are reached, and evenly."""
    nearest = round(slots * GOLDEN_SECTION)
    steps = [step for step in range(nearest - TRIED, nearest + TRIED + 1) if 0 < step < slots]
    coprime = [step for step in steps if math.gcd(step, slots) == 1]
    return min(coprime, key=lambda step: (_largest_quotient(slots, step), abs(step - nearest)), default=1)


def _largest_quotient(slots: int, step: int) -> int:
    """Return the largest term of the continued fraction: the smaller it is, the more even are all runs."""
    largest = 0
    while step:
        largest = max(largest, slots // step)
        slots, step = step, slots % step
    return largest
