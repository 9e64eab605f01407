"""What an object storage knows by name only, because its writer has died before it could put it there."""

from __future__ import annotations

from itertools import count

import pytest

from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.directory import GenerationDirectory
from airflow_fanout.staging.jobs import JobJournal, read_jobs
from airflow_fanout.staging.journal import JournalWriter, Snapshot
from airflow_fanout.staging.resume import resume
from tests.staging.objects import memory_store
from tests.staging.test_erasing import erased, fetched

LIST = "list"


@pytest.fixture
def generation() -> GenerationDirectory:
    """A generation in an object storage: of its first try's two parts and jobs, the later ones are names only."""
    store = memory_store()
    generation = GenerationDirectory(store, "dag/run/report/list-0001/journal/shard-0000/generation-0001")
    attempt = generation.new_try()
    journal = JournalWriter(attempt, list_id=LIST)
    for index in range(2):
        journal.append(Record.of(index, f"parameter {index}", Outcome(Kind.OK, result="done"), 1, 1.0))
        journal.close()
    for number in range(2):
        jobs = JobJournal(attempt, count(number), list_id=LIST, known={}, is_newest=lambda: True)
        jobs.created(number, f"job-{number}")
        jobs.close()
    store.objects.delete([attempt.part(1).key, attempt.jobs(1).key])
    assert len(generation.parts()) == len(generation.jobs()) == 2
    return generation


def test_what_never_got_there_is_no_part_of_the_journal(generation: GenerationDirectory) -> None:
    """The next try requests what was in it again; validate reads the rest, and what it reads is what load reads."""
    done, damaged = resume(generation, range(2), LIST)
    snapshot = Snapshot(generation, LIST)

    assert ([index for index in range(2) if index not in done], damaged) == ([1], [])
    assert [place.index for place in snapshot.places()] == [0]
    assert [record.index for record in snapshot] == [0]


def test_a_job_that_was_never_noted_there_is_unknown(generation: GenerationDirectory) -> None:
    """The next try knows of the other one, and goes on."""
    assert [note.job for note in read_jobs(generation, LIST, lambda _: True).values()] == ["job-0"]


def test_what_never_got_there_keeps_nothing_from_being_erased() -> None:
    """The parameter goes from what is there."""
    store = memory_store()
    directory, _ = fetched(store)
    attempt = directory.shard(1).generation(1).attempt(1)
    store.objects.delete([attempt.part(0).key, attempt.jobs(0).key])

    assert erased(store).files == 2
