"""A board in shared memory: what the engine is doing, readable for its parent while the engine can't say a word.

A call that blocks the engine keeps all of its greenlets and, if it holds the interpreter, all of its threads from
speaking. So the engine writes down what it is about to run before it runs it; that costs a store into memory.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from array import array

import msgspec

# What runs is no call of an author's.
NOBODY = -1

_WORD = 8
# How often the engine has looked around, the index of the parameter whose call is running, how many places there are
# for calls, and how often greenlets have been switched.
_LOOKS, _RUNNING, _PLACES, _SWITCHES = range(4)
_HEAD = 4


class Call(msgspec.Struct, frozen=True):
    """A call under way: its parameter's index, and when it began, on the system's monotonic clock, in seconds."""

    index: int
    begun_s: float


class Sight(msgspec.Struct, frozen=True):
    """What the board says at one moment.

    `steps` changes whenever the engine does anything at all; 0 is before its first. `running` is the index of the
    parameter whose call has the processor, or `NOBODY`.
    """

    steps: int
    running: int
    calls: tuple[Call, ...]


class Board:
    """The memory that an engine and its parent share.

    :param descriptor: the file that is mapped.
    """

    def __init__(self, descriptor: int) -> None:
        # A child that inherits it makes a board of it.
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, 0)
        self._view = memoryview(self._memory)
        self._numbers = self._view.cast("q")
        self._times = self._view.cast("d")
        self._switches = 0
        self._free = list(range(self._numbers[_PLACES]))

    @classmethod
    def new(cls, places: int) -> Board:
        """Make a board, in a file without a name, with places for this number of calls at once."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("fanout-board")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _WORD * (_HEAD + 2 * places))
        os.pwrite(descriptor, array("q", [0, NOBODY, places, 0] + [NOBODY, 0] * places).tobytes(), 0)
        return cls(descriptor)

    def close(self) -> None:
        """Let go of the memory."""
        self._numbers.release()
        self._times.release()
        self._view.release()
        self._memory.close()
        os.close(self.descriptor)

    def step(self) -> None:
        """Note that the engine does something."""
        self._numbers[_LOOKS] += 1

    def run(self, index: int) -> None:
        """Note that a parameter's call, or `NOBODY`'s, has the processor from now on."""
        numbers = self._numbers
        numbers[_RUNNING] = index
        # A number of Python's own is faster than one that is read from the memory first.
        self._switches = numbers[_SWITCHES] = self._switches + 1

    def begin(self, index: int, now_s: float) -> int:
        """Note that a call begins; return its place.

        :param index: its parameter's.
        :param now_s: the time of a monotonic clock, in seconds.
        """
        place = self._free.pop()
        self._times[_HEAD + 2 * place + 1] = now_s
        self._numbers[_HEAD + 2 * place] = index
        return place

    def end(self, place: int) -> None:
        """Note that the call at a place has ended."""
        self._numbers[_HEAD + 2 * place] = NOBODY
        self._free.append(place)

    def look(self) -> Sight:
        """Return what is on the board."""
        places = range(_HEAD, _HEAD + 2 * self._numbers[_PLACES], 2)
        calls = (Call(self._numbers[place], self._times[place + 1]) for place in places)
        under_way = tuple(sorted((call for call in calls if call.index != NOBODY), key=lambda call: call.begun_s))
        return Sight(self._numbers[_LOOKS] + self._numbers[_SWITCHES], self._numbers[_RUNNING], under_way)
