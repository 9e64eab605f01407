"""Jobs are created only when the storage that outlives this machine knows of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from airflow_fanout.codec import Json
from airflow_fanout.engine.work import Task, WorkQueue
from airflow_fanout.staging.jobs import JobJournal


class CreationQueue(WorkQueue):
    """Gives out a parameter whose job is to be created when the note about it is in the object storage.

    A machine may be lost with its disk. Then a later try knows only what is in the storage, and a job that isn't noted
    there would be created a second time. Until the note is there, the parameter is *held*: it takes no place of the
    requests under way. What is held has been noted, and may be created for all that a later try knows. So no more is
    held than can be sent at once.

    :param jobs: notes which jobs are about to be created.
    :param options: as for a `WorkQueue`.
    """

    def __init__(self, source: Iterator[tuple[int, Json]], *, jobs: JobJournal, **options: Any) -> None:
        super().__init__(source, **options)
        self._jobs = jobs
        self._held: deque[Task] = deque()

    @property
    def held(self) -> int:
        """How many parameters are held."""
        return len(self._held)

    @property
    def waiting(self) -> int:
        """How many parameters wait for another request, or are held."""
        return super().waiting + self.held

    def is_ready(self) -> bool:
        """Return whether there may be a task that can be sent now."""
        if not self._held:
            return super().is_ready()
        return self._jobs.may_begin(self._held[0].index) or self.due_s() == 0.0

    def poll(self, most: int) -> list[Task]:
        """Return at most `most` of the tasks that can be sent now, and hold those whose notes aren't stored yet."""
        tasks: list[Task] = []
        # The notes are stored in the order in which they were written.
        while self._held and len(tasks) < most and self._jobs.may_begin(self._held[0].index):
            tasks.append(self._held.popleft())
        self.in_flight += len(tasks)
        for task in super().poll(most - len(tasks)):
            if self._jobs.may_begin(task.index):
                tasks.append(task)
            else:
                self._jobs.announce(task.index)
                self._held.append(task)
                self.in_flight -= 1
        return tasks

    def is_over(self) -> bool:
        """Return whether nothing is left, not even under way or held."""
        return not self._held and super().is_over()

    def stop(self) -> None:
        """Give out nothing more; what is held was not created, and is noted as such."""
        while self._held:
            self._jobs.over(self._held.popleft().index)
        super().stop()

    def _new(self, most: int) -> list[Task]:
        # Of greenlets, each asks for one task, and those that got none are asleep.
        return super()._new(most + self._asleep - len(self._held))
