"""The one message about a run that has failed, however many of its tasks did."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

import msgspec

from airflow_fanout.alerts.message import Alert, Link, Pages, Piece, Quote, Say, alert, day
from airflow_fanout.alerts.note import Counts, FailureNote

MOST_GROUPS = 10
# Airflow's words for why a run has failed -> what they mean; a task that failed needs no words of its own.
REASONS = {
    "timed_out": "Airflow ended the run, because it took longer than the DAG's dagrun_timeout.",
    "all_tasks_deadlocked": "None of the remaining tasks could run.",
}
SILENT = (
    "The task ended without a word: somebody marked it as failed, it was killed, or its worker was lost. If it "
    "was killed, the most likely cause is the worker's memory limit."
)
STRANGE = "This task isn't one of the plugin's. Its log says what happened."
NEXT = "The message above says what to do; docs/operating.md explains each failure."
CLEAR = (
    "Once the cause is fixed, clear the failed task with its downstream tasks. What was fetched isn't requested again."
)


class FailedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that has failed.

    :param note: what it has left behind; `None` if it couldn't.
    :param ours: whether it is one of the plugin's, which leave notes.
    """

    task_id: str
    map_index: int = -1
    note: FailureNote | None = None
    ours: bool = True

    @property
    def message(self) -> str:
        """What is known of it."""
        if self.note is None:
            return SILENT if self.ours else STRANGE
        return self.note.message

    @property
    def likeness(self) -> tuple[str, str]:
        """What is the same for failures that people call the same: numbers in the message don't count."""
        return self.task_id, re.sub(r"\d[\d,.]*", "#", self.message)


class FailedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run that has failed.

    :param as_of: the run's one date, if it is known.
    :param zone: the report's time zone.
    :param reason: Airflow's word for why the run has failed.
    :param tasks: the failed tasks, in the report's order.
    :param waiting: the tasks that weren't run because of them.
    :param problem: why less is known than could be.
    """

    run_id: str
    as_of: datetime | None
    zone: tzinfo
    reason: str = ""
    tasks: tuple[FailedTask, ...] = ()
    waiting: tuple[str, ...] = ()
    problem: str = ""

    @property
    def groups(self) -> list[list[FailedTask]]:
        """The failed tasks, those with the same failure together."""
        found: dict[tuple[str, str], list[FailedTask]] = {}
        for task in self.tasks:
            found.setdefault(task.likeness, []).append(task)
        return list(found.values())

    @property
    def counts(self) -> Counts | None:
        """How many parameters are missing: the sum over the shards."""
        told = [task.note.counts for task in self.tasks if task.note and task.note.counts]
        if not told:
            return None
        causes: Counter[str] = Counter()
        for counts in told:
            causes.update(counts.causes)
        return Counts(total=max(counts.total for counts in told), causes=dict(causes.most_common()))


def failed(run: FailedRun, pages: Pages) -> Alert:
    """Return the message about a run that has failed."""
    return alert(_subject(run, pages.dag_id), _pieces(run, pages))


def _subject(run: FailedRun, dag_id: str) -> str:
    counts = run.counts
    missing = f", {counts.missing:,} of {counts.total:,} missing" if counts and counts.missing else ""
    return f"{dag_id} has failed for {day(run.as_of, run.zone)}{_where(run)}{missing}"


def _where(run: FailedRun) -> str:
    steps = list(dict.fromkeys(task.task_id for task in run.tasks))
    if steps:
        return f": {', '.join(steps)}"
    return ": timed out" if run.reason == "timed_out" else ""


def _pieces(run: FailedRun, pages: Pages) -> Iterator[Piece]:
    if run.reason in REASONS:
        yield Say(REASONS[run.reason])
    if run.problem:
        yield Say(run.problem)
    if run.counts and run.counts.missing and not _told_by_validate(run):
        yield from _missing(run.counts)
    for group in run.groups[:MOST_GROUPS]:
        yield Say(f"{_named(group)}{'' if group[0].note is None else f' failed with {group[0].note.error}'}:")
        yield Quote(group[0].message)
        yield Link("Log", pages.log(run.run_id, group[0].task_id, group[0].map_index))
    if len(run.groups) > MOST_GROUPS:
        yield Say(f"The run's page lists {len(run.groups) - MOST_GROUPS} more failures.")
    if run.waiting:
        yield Say(f"Not run as a result: {', '.join(run.waiting)}.")
    # Validate says itself what is to be cleared: itself would judge the same results again.
    yield Say(NEXT if _told_by_validate(run) else f"{NEXT} {CLEAR}")
    yield Link("Run", pages.run(run.run_id))
    yield Link("Report", pages.report)


def _told_by_validate(run: FailedRun) -> bool:
    """Return whether a message has the counts and the causes itself, with samples."""
    return any(task.note and task.note.error == "ValidationFailed" for task in run.tasks)


def _missing(counts: Counts) -> Iterator[Piece]:
    yield Say(f"{counts.missing:,} of {counts.total:,} parameters have no valid result:")
    yield Quote("\n".join(f"{count:,} × {cause}" for cause, count in counts.causes.items()))


def _named(group: Sequence[FailedTask]) -> str:
    indexes = [str(task.map_index) for task in group if task.map_index >= 0]
    if not indexes:
        return group[0].task_id
    which = f"shard {indexes[0]}" if len(indexes) == 1 else f"{len(indexes)} shards ({', '.join(indexes[:20])})"
    return f"{group[0].task_id}, {which},"
