"""Jobs that are created only when the object storage has the notes about them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from airflow_fanout.engine.creations import CreationQueue
from airflow_fanout.engine.work import Task
from airflow_fanout.staging.directory import GenerationDirectory
from airflow_fanout.staging.jobs import JobJournal, JobState, read_jobs
from tests.staging.places import generation_at

FILE = "jobs-00000.jsonl.zst"


class Creations:
    """A queue of ten parameters, the notes about their jobs, and how much of these is in the storage."""

    def __init__(self, generation: GenerationDirectory) -> None:
        self.generation = generation
        self._attempt = generation.new_try()
        known = read_jobs(generation, "list", lambda _: True)
        self.jobs = JobJournal(
            self._attempt, count(), list_id="list", known=known, is_newest=lambda: True, is_copied=True
        )
        self.now_s = 0.0
        source = ((index, index) for index in range(10))
        self.work = CreationQueue(source, jobs=self.jobs, clock=lambda: self.now_s)

    @property
    def written(self) -> int:
        """How many bytes of notes there are."""
        return self._attempt.jobs(0).size() or 0

    def store(self) -> None:
        """Put all notes into the storage."""
        self.jobs.stored({FILE: self.written})

    def poll(self, most: int) -> list[int]:
        """Return the parameters that may be sent, after a note about each."""
        tasks = self.work.poll(most)
        for task in tasks:
            assert self.jobs.intend(task.index)
        return [task.index for task in tasks]

    @property
    def noted(self) -> dict[int, JobState]:
        """What a later try would read, if nothing is lost."""
        return {index: note.state for index, note in read_jobs(self.generation, "list", lambda _: True).items()}


@pytest.fixture
def creations(tmp_path: Path) -> Iterator[Creations]:
    """The first try."""
    first = Creations(generation_at(tmp_path))
    yield first
    first.jobs.close()


def test_a_parameter_is_given_out_when_its_note_is_stored(creations: Creations) -> None:
    """And not before; no more are held than there are places for, however often it is asked."""
    assert [creations.poll(3), creations.poll(3), creations.work.held] == [[], [], 3]
    assert creations.noted == dict.fromkeys(range(3), JobState.INTENDED)
    assert not creations.work.is_ready()
    creations.store()
    assert creations.work.is_ready()
    assert creations.poll(2) == [0, 1]
    assert (creations.work.held, creations.work.waiting, creations.work.in_flight) == (1, 1, 2)
    # The third is stored, another one is only noted.
    assert (creations.poll(2), creations.work.held) == ([2], 1)
    assert set(creations.noted) == set(range(4))


def test_a_note_is_stored_when_its_last_byte_is(creations: Creations) -> None:
    """What the storage has by then is a whole number of notes; others' files don't count."""
    creations.poll(1)
    first = creations.written
    creations.poll(2)
    creations.jobs.stored({FILE: first - 1, "jobs-00001.jsonl.zst": 10**6})
    assert creations.poll(2) == []
    creations.jobs.stored({FILE: first})
    assert creations.poll(2) == [0]


def test_a_job_that_was_refused_is_noted_again(creations: Creations) -> None:
    """The storage may know by then that there is none: a second request for it waits for its own note."""
    creations.poll(1)
    creations.store()
    assert creations.poll(1) == [0]
    creations.jobs.over(0)
    creations.store()
    creations.work.again(Task(0, 0), 5.0)
    creations.now_s = 5.0
    assert 0 not in creations.poll(1)
    assert creations.noted[0] is JobState.INTENDED
    creations.store()
    assert creations.poll(1) == [0]


def test_a_job_that_exists_is_not_waited_for(tmp_path: Path) -> None:
    """Nothing is created then; the same is so of one that may exist, which isn't created again."""
    generation = generation_at(tmp_path)
    earlier = Creations(generation)
    earlier.poll(2)
    earlier.store()
    earlier.poll(2)
    earlier.jobs.created(0, "job-0")
    earlier.jobs.close()
    later = Creations(generation)
    assert [task.index for task in later.work.poll(2)] == [0, 1]
    assert later.work.held == 0


def test_what_is_held_at_the_end_was_not_created(creations: Creations) -> None:
    """A later try creates it; of what was sent it knows that it may exist."""
    creations.poll(2)
    creations.store()
    creations.poll(1)
    assert not creations.work.is_over()
    creations.work.stop()
    assert creations.noted == {0: JobState.INTENDED, 1: JobState.OVER}
    assert creations.poll(5) == []
    creations.work.finish()
    assert creations.work.is_over()
