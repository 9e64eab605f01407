"""What is to be fetched next: new parameters from the frozen list, and those whose wait for a retry is over."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from gevent.event import Event

from airflow_fanout.codec import Json

# So many parameters may wait to be tried again before no new one is begun: a server that is down for an hour
# must not bring the whole list into memory.
MOST_WAITING = 10_000


@dataclass(slots=True)
class Task:
    """A parameter under way; `attempt` is the number of its next or present attempt, counted from 1."""

    index: int
    parameter: Json
    attempt: int = 1


@dataclass(order=True, slots=True)
class _Waiting:
    due: float
    order: int
    task: Task = field(compare=False)


class Work:
    """Gives out tasks to any number of greenlets, each task to one of them.

    A parameter that waits for its retry occupies no greenlet: it stands in a heap until it is due.
    """

    def __init__(self, source: Iterator[tuple[int, Json]], clock: Callable[[], float] = time.monotonic) -> None:
        self._source: Iterator[tuple[int, Json]] | None = source
        self._clock = clock
        self._heap: list[_Waiting] = []
        self._order = count()
        self._changed = Event()
        self._stopped = False
        self.in_flight = 0

    @property
    def waiting(self) -> int:
        """How many parameters wait to be tried again."""
        return len(self._heap)

    def take(self) -> Task | None:
        """Return the next task, waiting for it if need be; `None` when all is done."""
        while not self._stopped:
            task = self._due() or self._new()
            if task is not None:
                self.in_flight += 1
                return task
            if self._is_over():
                self._changed.set()
                return None
            self._changed.clear()
            self._changed.wait(self._heap[0].due - self._clock() if self._heap else None)
        return None

    def finish(self) -> None:
        """Say that a task that was taken has its outcome."""
        self.in_flight -= 1
        self._wake()

    def again(self, task: Task, wait_s: float) -> None:
        """Give a task back, to be tried again after a wait."""
        self.in_flight -= 1
        if not self._stopped:
            task.attempt += 1
            heapq.heappush(self._heap, _Waiting(self._clock() + wait_s, next(self._order), task))
        self._wake()

    def stop(self) -> None:
        """Give out nothing more; what waits is left to a later try."""
        self._stopped = True
        self._source = None
        self._heap.clear()
        self._changed.set()

    def _due(self) -> Task | None:
        if self._heap and self._heap[0].due <= self._clock():
            return heapq.heappop(self._heap).task
        return None

    def _new(self) -> Task | None:
        if self._source is None or len(self._heap) >= MOST_WAITING:
            return None
        item = next(self._source, None)
        if item is None:
            self._source = None
            return None
        return Task(*item)

    def _is_over(self) -> bool:
        return self._source is None and not self._heap and not self.in_flight

    def _wake(self) -> None:
        # Nobody sleeps while the source lasts, unless too many wait.
        if self._source is None or len(self._heap) >= MOST_WAITING - 1:
            self._changed.set()
