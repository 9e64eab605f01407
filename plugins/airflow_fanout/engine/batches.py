"""Many parameters in one request: the work is given out in batches, and a batch that is refused is halved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_fanout.api.request import Request
from airflow_fanout.api.splitting import Key, Splitter
from airflow_fanout.codec import Json
from airflow_fanout.engine.creations import CreationQueue
from airflow_fanout.engine.work import MOST_WAITING, Task, WorkQueue
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.staging.jobs import JobJournal

if TYPE_CHECKING:
    from airflow_fanout.engine.lanes import Lane


class BatchTask(Task, gc=False):
    """The parameters of one request under way.

    Its index is that of the first one, and its parameter is the list of all. `before` counts the requests that these
    parameters were in before they were halved to this batch, `is_part` says that they were. `unsent` has the outcomes
    of those that can't be put into the request, by their index.
    """

    members: tuple[tuple[int, Json], ...] = ()
    before: int = 0
    is_part: bool = False
    unsent: dict[int, Outcome] = msgspec.field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many parameters it has."""
        return len(self.members)


class Split(Outcome, frozen=True, gc=False):
    """A good answer to a batch; `outcomes` are those of its parameters, in order.

    Its own kind is `null`, because its result is theirs.
    """

    outcomes: tuple[Outcome, ...] = ()


class BatchQueue(WorkQueue):
    """Gives out the parameters of the source in batches.

    :param size: the most parameters of a batch.
    :param splitter: says by what an item of an answer is known to be a parameter's. Two parameters for which that is
        the same aren't in one batch.
    """

    def __init__(self, source: Iterator[tuple[int, Json]], *, size: int, splitter: Splitter, **options: Any) -> None:
        super().__init__(source, **options)
        self._size = size
        self._splitter = splitter
        self._kept: tuple[int, Json] | None = None
        self._most_waiting = max(1, MOST_WAITING // size)

    @property
    def waiting(self) -> int:
        """How many parameters wait to be tried again."""
        tasks = [*(waiting.task for waiting in self._heap), *self._later]
        return sum(task.size for task in tasks)

    def halve(self, task: BatchTask) -> None:
        """Give a batch back as two, which are due now."""
        self.in_flight -= 1
        middle = (task.size + 1) // 2
        for members in (task.members[:middle], task.members[middle:]):
            part = _task(members)
            part.before, part.is_part = task.before + task.attempt, True
            part.last, part.judged = task.last, task.judged
            if not self.stopped:
                self._push(part, 0.0)
        self._wake()

    def _new(self, most: int) -> list[Task]:
        if len(self._heap) >= self._most_waiting:
            return []
        batches: list[Task] = []
        # A batch is never cut for the canary's sake: it is one request anyway.
        while len(batches) < most and self._source is not None and self._room(self.begun) > 0:
            if self._lane is not None and not self._lane.has(self._size):
                break
            members = list(self._next_members(self._source))
            if members:
                batches.append(_task(tuple(members)))
            self.begun += len(members)
            if len(members) < self._size and self._kept is None:
                self._source_has_ended()
        return batches

    def _has_new(self) -> bool:
        return self._kept is not None or super()._has_new()

    def _next_members(self, source: Iterator[tuple[int, Json]]) -> Iterator[tuple[int, Json]]:
        keys: set[Key] = set()
        kept, self._kept = self._kept, None
        # A generator that ends in the middle would close the source with itself.
        for member in islice(chain([] if kept is None else [kept], source), self._size):
            key = self._splitter.key_of(member[1])
            if key is not None and key in keys:
                self._kept = member
                return
            if key is not None:
                keys.add(key)
            yield member


def queue_of(
    request: Request | None,
    source: Iterator[tuple[int, Json]],
    room: Callable[[int], int],
    lane: Lane | None = None,
    jobs: JobJournal | None = None,
) -> WorkQueue:
    """Return what gives out the work of a fetch: one by one, or in batches if the request is for such.

    :param lane: the source, if it may have more later where it has nothing now.
    :param jobs: which jobs there are, for a request that creates some.
    """
    if jobs is not None and jobs.is_copied:
        return CreationQueue(source, jobs=jobs, room=room, lane=lane)
    if request is None or request.batch is None:
        return WorkQueue(source, room=room, lane=lane)
    if lane is not None:
        lane.least = request.batch.size
    splitter = Splitter(request.batch, empty_is_null=request.empty_is_null)
    return BatchQueue(source, room=room, lane=lane, size=request.batch.size, splitter=splitter)


def _task(members: Sequence[tuple[int, Json]]) -> BatchTask:
    return BatchTask(members[0][0], [parameter for _, parameter in members], members=tuple(members))
