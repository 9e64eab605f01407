"""Notes about jobs: what a later try reads of them, and that nobody takes them for results."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.staging.errors import ForeignPart, JournalDamaged
from airflow_fanout.staging.jobs import JobJournal, JobState, read_jobs
from airflow_fanout.staging.journal import JournalWriter, read_records
from airflow_fanout.staging.resume import resume
from tests.staging.places import generation_at

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_fanout.staging.directory import GenerationDirectory, TryDirectory


def journal(attempt: TryDirectory, list_id: str = "list") -> JobJournal:
    """Return a journal of jobs in a try."""
    return JobJournal(attempt, count(), list_id=list_id, known={}, is_newest=lambda: True)


def states(generation: GenerationDirectory) -> dict[int, tuple[JobState, object]]:
    """Return what a later try reads."""
    notes = read_jobs(generation, "list", lambda index: index != 7)
    return {index: (note.state, note.job) for index, note in notes.items()}


def test_the_last_note_about_a_job_counts(tmp_path: Path) -> None:
    """Over all tries, each line at once: the engine may be killed after any of them."""
    generation = generation_at(tmp_path)
    first = journal(generation.new_try())
    for index in (1, 2, 3, 7):
        assert first.intend(index)
    first.created(2, "job-2")
    first.created(3, 3)
    # Nothing was closed.
    assert states(generation) == {
        1: (JobState.INTENDED, None),
        2: (JobState.CREATED, "job-2"),
        3: (JobState.CREATED, 3),
    }
    second = journal(generation.new_try())
    second.over(2)
    second.created(1, "job-1")
    assert states(generation)[1] == (JobState.CREATED, "job-1")
    assert states(generation)[2] == (JobState.OVER, None)
    assert second.last(2) is None
    first.close()
    second.close()


def test_a_note_is_no_result(tmp_path: Path) -> None:
    """The journal's readers don't meet it, and a part that is damaged is put aside without it."""
    generation = generation_at(tmp_path)
    attempt = generation.new_try()
    writer = JournalWriter(attempt, list_id="list")
    writer.append(Record.of(1, "a", Outcome(Kind.OK, result=[1]), 1, 2.0))
    writer.close()
    jobs = journal(attempt)
    jobs.intend(2)
    jobs.close()
    assert [record.index for record in read_records(generation)] == [1]
    finished, damaged = resume(generation, range(3), "list")
    assert (finished.count, damaged) == (1, [])


def test_a_note_that_was_cut_was_not_acted_on(tmp_path: Path) -> None:
    """A job is created after its line is whole; what is cut at the end of a file is left out."""
    generation = generation_at(tmp_path)
    attempt = generation.new_try()
    jobs = journal(attempt)
    jobs.intend(1)
    jobs.intend(2)
    jobs.close()
    file = next(tmp_path.rglob("jobs-*"))
    file.write_bytes(file.read_bytes()[:-3])
    assert states(generation) == {1: (JobState.INTENDED, None)}


def test_notes_that_are_damaged_or_of_another_list_are_an_error(tmp_path: Path) -> None:
    """Which jobs there are isn't known then, and to create them again is no answer."""
    generation = generation_at(tmp_path)
    jobs = journal(generation.new_try())
    jobs.intend(1)
    jobs.close()
    with pytest.raises(ForeignPart):
        read_jobs(generation, "another", lambda _: True)
    file = next(tmp_path.rglob("jobs-*"))
    content = bytearray(file.read_bytes())
    content[-8] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(JournalDamaged):
        read_jobs(generation, "list", lambda _: True)
