"""An engine that goes on where another one of the same try has ended, killed by one of its calls."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from airflow_fanout.engine.meter import Meter
from airflow_fanout.engine.settlement import Write
from airflow_fanout.launch.job import Job
from airflow_fanout.model.outcome import Failure, Kind, Outcome, Record
from airflow_fanout.staging.directory import TryDirectory
from airflow_fanout.staging.folder import list_at
from airflow_fanout.staging.frozen import read_parameters
from airflow_fanout.staging.reconcile import CompletedSet
from airflow_fanout.staging.resume import resume_within


def part_numbers(attempt: TryDirectory, job: Job) -> Iterator[int]:
    """Yield the numbers of journal parts that this engine may write: another one may have begun before it."""
    numbers = count(job.process, job.processes)
    return (number for number in numbers if attempt.part(number).size() is None)


def go_on(job: Job, attempt: TryDirectory, done: CompletedSet, meter: Meter, write: Write) -> None:
    """Count what earlier engines of the try have ended, and write down the outcomes of the calls that have ended them.

    :param done: what has a good outcome; afterwards, all that is not to be fetched by this engine.
    """
    for kind in resume_within(attempt, done):
        meter.ended(kind)
    for index, message in job.fatal:
        # One that a call has ended after its own outcome was there has a record already.
        if done.add(index):
            [(_, parameter)] = read_parameters(list_at(job.directory), range(index, index + 1))
            outcome = Outcome(Kind.ERROR, failure=Failure("EngineEnded", message))
            write([Record.of(index, parameter, outcome, 1, 0.0)])
            meter.ended(Kind.ERROR)
