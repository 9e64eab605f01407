"""What is to be fetched next: new parameters from the frozen list, and those whose wait for a retry is over."""

from __future__ import annotations

import heapq
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from typing import TYPE_CHECKING

import msgspec
from gevent.event import Event

from airflow_fanout.codec import Json
from airflow_fanout.engine.steps import Steps

if TYPE_CHECKING:
    from airflow_fanout.engine.lanes import Lane

# If this number of parameters waits for another attempt, no new one begins; the last pass takes at most as many. A
# server that is down for an hour must not bring the whole list into memory.
MOST_WAITING = 10_000


class Task(msgspec.Struct, gc=False):
    """A parameter under way.

    `attempt` is the number of its next or present attempt, counted from 1; `last` says that it is the last pass's;
    `resent` counts how often the server has said that it hasn't processed the request. `was_garbled`
    says that an answer to it couldn't be read at all. A parameter that needs several requests has `steps`; the
    attempts are those of the present request. `judged` says that the breaker has counted the parameter already.
    """

    index: int
    parameter: Json
    attempt: int = 1
    last: bool = False
    was_garbled: bool = False
    resent: int = 0
    judged: bool = False
    steps: Steps | None = None

    @property
    def size(self) -> int:
        """How many parameters it is about."""
        return 1


@dataclass(order=True, slots=True)
class _Waiting:
    due: float
    order: int
    task: Task = field(compare=False)


class WorkQueue:
    """Gives out tasks to any number of greenlets, each task to one of them: to those that wait for one, or poll.

    A parameter that waits for its retry occupies no greenlet: it stands in a heap until it is due. What has used up its
    attempts may be left for later: it is given out once more when all else is done.

    :param source: index and parameter of all that is to be done.
    :param clock: the time, in seconds.
    :param room: returns how many parameters may still begin, from the number of those that have.
    :param lane: the source, if it may have more later where it has nothing now.

    `begun` counts the parameters of the source that were given out.
    """

    def __init__(
        self,
        source: Iterator[tuple[int, Json]],
        clock: Callable[[], float] = time.monotonic,
        room: Callable[[int], int] = lambda _begun: sys.maxsize,
        lane: Lane | None = None,
    ) -> None:
        self._source: Iterator[tuple[int, Json]] | None = source
        self._rest = source
        self._looked_at = -1
        self._lane = lane
        self._clock = clock
        self._room = room
        self._heap: list[_Waiting] = []
        self._later: list[Task] = []
        self.begun = 0
        self._order = count()
        self._changed = Event()
        self._asleep = 0
        self._most_waiting = MOST_WAITING
        self.stopped = False
        self.in_flight = 0

    @property
    def held(self) -> int:
        """How many parameters wait for a note to be stored before their first request."""
        return 0

    @property
    def waiting(self) -> int:
        """How many parameters wait for another request."""
        return len(self._heap) + len(self._later)

    @property
    def pending(self) -> int:
        """How many of these wait for their next request, and not for another attempt."""
        return sum(1 for waiting in self._heap if waiting.task.steps is not None and waiting.task.attempt == 1)

    def is_ready(self) -> bool:
        """Return whether there may be a task that can be sent now."""
        if self._heap and self._heap[0].due <= self._clock():
            return True
        if self._source is None or self._room(self.begun) <= 0:
            return False
        return self._lane is None or self._lane.has(self._lane.least)

    def take(self) -> Task | None:
        """Return the next task, waiting for it if need be; `None` when all is done."""
        while not self.stopped:
            if tasks := self.poll(1):
                return tasks[0]
            if self.is_over():
                self._changed.set()
                return None
            self._changed.clear()
            self._asleep += 1
            try:
                self._changed.wait(self.due_s() if self._heap else None)
            finally:
                self._asleep -= 1
        return None

    def poll(self, most: int) -> list[Task]:
        """Return at most `most` of the tasks that can be sent now."""
        tasks: list[Task] = []
        if self._heap:
            now = self._clock()
            while self._heap and len(tasks) < most and self._heap[0].due <= now:
                tasks.append(heapq.heappop(self._heap).task)
        if len(tasks) < most:
            tasks += self._new(most - len(tasks))
        self.in_flight += len(tasks)
        return tasks

    def due_s(self) -> float:
        """Return how long until a task is due that waits to be tried again, in seconds; infinity if none does."""
        return max(0.0, self._heap[0].due - self._clock()) if self._heap else math.inf

    def is_over(self) -> bool:
        """Return whether nothing is left, not even under way; what was left for later becomes due at the end."""
        if self._heap or self.in_flight or self._has_new():
            return False
        if not self._later:
            return True
        for task in self._later:
            self._push(task, 0.0)
        self._later.clear()
        return False

    def finish(self, many: int = 1) -> None:
        """Note that `many` of the tasks that were taken have their outcomes."""
        self.in_flight -= many
        self._wake()

    def again(self, task: Task, wait_s: float, *, counts: bool = True) -> None:
        """Give a task back, to be tried again after a wait; `counts` says whether the attempt was one."""
        self.in_flight -= 1
        if not self.stopped:
            task.attempt += counts
            self._push(task, wait_s)
        self._wake()

    def go_on(self, task: Task, wait_s: float) -> None:
        """Give a task back for its next request, after a wait; what has failed before is forgotten."""
        self.in_flight -= 1
        if not self.stopped:
            task.attempt, task.resent, task.last, task.was_garbled = 1, 0, False, False
            self._push(task, wait_s)
        self._wake()

    def leave(self, task: Task) -> bool:
        """Give a task back for the last pass; return whether there will be one, and room for it."""
        if self.stopped or len(self._later) >= self._most_waiting:
            return False
        self.in_flight -= 1
        task.attempt += 1
        task.last = task.judged = True
        self._later.append(task)
        self._wake()
        return True

    def look(self) -> None:
        """Look at the source again: it may have more now."""
        self._wake()

    def stop(self) -> None:
        """Give out nothing more; what waits is left to a later try."""
        self.stopped = True
        self._source = None
        self._heap.clear()
        self._later.clear()
        self._changed.set()

    def _new(self, most: int) -> list[Task]:
        if self._source is None or len(self._heap) >= self._most_waiting:
            return []
        admitted = min(most, self._room(self.begun))
        new = [Task(index, parameter) for index, parameter in islice(self._source, admitted)] if admitted > 0 else []
        self.begun += len(new)
        if len(new) < admitted:
            self._source_has_ended()
        return new

    def _has_new(self) -> bool:
        """Return whether the source has a further parameter: who may not send can't find out by a poll."""
        if self._lane is not None:
            return self._source is not None and not self._lane.is_over
        if self._source is not None and self._looked_at != self.begun:
            first = next(self._source, None)
            self._source = None if first is None else chain((first,), self._rest)
            self._looked_at = self.begun
        return self._source is not None

    def _source_has_ended(self) -> None:
        """Ask a source that had nothing more no longer, unless it is a lane that is still filled."""
        if self._lane is None or self._lane.is_over:
            self._source = None

    def _push(self, task: Task, wait_s: float) -> None:
        heapq.heappush(self._heap, _Waiting(self._clock() + wait_s, next(self._order), task))

    def _wake(self) -> None:
        if self._asleep:
            self._changed.set()
