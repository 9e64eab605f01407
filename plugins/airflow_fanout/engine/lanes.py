"""A list read ahead for several connections: each has a lane of its own, so that none waits for another one's turn.

A lane keeps lines, not values, and packs all but its ends, so that a list that is sorted by connection can be read
far ahead. How far is bounded in bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

import gevent
import zstandard
from gevent.event import Event

from airflow_fanout import codec
from airflow_fanout.codec import Json

# What all lanes may hold together, packed; a million usual parameters take about 10 MiB.
MOST_BYTES = 32 * 1024 * 1024
# A lane with fewer parameters than this is filled up; this number is packed together.
ENOUGH = 256
# What Python needs for an index and a line, besides the line's own bytes.
OVERHEAD = 128
# How many lines are read before other greenlets have their turn.
TOGETHER = 100

# The index of a parameter in the list, and its line.
Line = tuple[int, bytes]


class Lane:
    """The parameters of one connection that were read and not begun, in the list's order.

    It is an iterator that ends where nothing more is there *yet*; `is_over` says that nothing more will come. `total`
    counts what was ever put into it.

    :param changed: called when there is more room, or a need for more.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._first: deque[Line] = deque()
        self._packed: deque[bytes] = deque()
        self._last: list[Line] = []
        self._count = 0
        self.bytes = self.total = 0
        self.is_complete = self.is_closed = self.is_full = False
        # Called when a driver that has found too little may look again.
        self.wake: Callable[[], None] = lambda: None
        # This number is enough for a request.
        self.least = 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, Json]]:
        return self

    def __next__(self) -> tuple[int, Json]:
        if not self._first and not self._refill():
            raise StopIteration
        index, line = self._first.popleft()
        self.bytes -= len(line) + OVERHEAD
        self._count -= 1
        if self._count < ENOUGH or self.is_full:
            self._changed()
        return index, codec.decode_known(line)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.is_complete and not self._count

    def has(self, many: int = 1) -> bool:
        """Return whether this number can be taken, or as many as will come for now."""
        return self._count >= many or self.is_complete or (self.is_full and self._count > 0)

    def put(self, index: int, line: bytes) -> None:
        """Add a parameter at the end."""
        self.total += 1
        if self.is_closed:
            return
        self._last.append((index, line))
        self._count += 1
        self.bytes += len(line) + OVERHEAD
        if len(self._last) >= ENOUGH:
            self._pack()
        if self._count == self.least:
            self.wake()

    def complete(self) -> None:
        """Note that all of the list was read."""
        self.is_complete = True
        self.wake()

    def close(self) -> None:
        """Drop what is there and what comes: nobody takes it."""
        self.is_closed = True
        self._first.clear()
        self._packed.clear()
        self._last.clear()
        self._count = self.bytes = 0
        self._changed()

    def _pack(self) -> None:
        indexes = codec.encode([index for index, _ in self._last])
        packed = zstandard.compress(b"\n".join((indexes, *(line for _, line in self._last))), 1)
        self.bytes += len(packed) - sum(len(line) + OVERHEAD for _, line in self._last)
        self._packed.append(packed)
        self._last = []

    def _refill(self) -> bool:
        """Put what comes next to the front; return whether there is anything."""
        if self._packed:
            packed = self._packed.popleft()
            indexes, *lines = zstandard.decompress(packed).split(b"\n")
            self._first.extend(zip(codec.decode_known(indexes), lines, strict=True))
            self.bytes += sum(len(line) + OVERHEAD for line in lines) - len(packed)
        else:
            self._first.extend(self._last)
            self._last = []
        return bool(self._first)


class Lanes:
    """Reads a list, and puts each parameter into the lane of its connection.

    :param lines: the index and the line of each parameter.
    :param name_of: returns the connection of a parameter.
    :param names: those of all connections.
    :param note: takes a sentence for the log.
    :param most_bytes: how much all lanes may hold together.
    """

    def __init__(
        self,
        lines: Iterator[Line],
        name_of: Callable[[Json], str],
        names: Mapping[str, object],
        note: Callable[[str], None],
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._lines = lines
        self._name_of = name_of
        self._note = note
        self._most_bytes = most_bytes
        self._may_read = Event()
        self.by_name = {name: Lane(self._may_read.set) for name in names}

    def run(self, is_finished: Callable[[int], bool], answered: Callable[[str], None]) -> None:
        """Read the list to its end, as far ahead as may be.

        :param is_finished: says of an index whether the parameter has its outcome already.
        :param answered: called with the connection of one that has.
        """
        for number, (index, line) in enumerate(self._lines):
            name = self._name_of(codec.decode_known(line))
            if is_finished(index):
                answered(name)
            else:
                self.by_name[name].put(index, line)
            if number % TOGETHER == 0:
                gevent.sleep(0)
                self._wait()
        for lane in self.by_name.values():
            lane.complete()

    def _wait(self) -> None:
        """Wait until somebody needs more than was read."""
        lanes = self.by_name.values()
        while True:
            self._may_read.clear()
            is_full = sum(lane.bytes for lane in lanes) >= self._most_bytes
            # What comes for closed lanes alone is counted only.
            open_lanes = [lane for lane in lanes if not lane.is_closed]
            is_needed = not open_lanes or any(len(lane) < ENOUGH for lane in open_lanes)
            if is_needed and not is_full:
                break
            if is_full and is_needed:
                self._say_full()
            self._may_read.wait()
        for lane in lanes:
            lane.is_full = False

    def _say_full(self) -> None:
        if any(lane.is_full for lane in self.by_name.values()):
            return
        name = max(self.by_name, key=lambda name: self.by_name[name].bytes)
        self._note(
            f"The list was read as far ahead as memory allows, and most of that is for the connection {name!r}. "
            "Other connections may have to wait for it. Mix the list's connections, or sort it by another field."
        )
        for lane in self.by_name.values():
            lane.is_full = True
            lane.wake()
