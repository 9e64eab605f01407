"""The one message about a run that has failed, however many of its tasks did."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

import msgspec

from airflow_fanout.alerts.message import Alert, AlertLink, Facts, Look, Pages, Piece, Quote, Say, alert, day
from airflow_fanout.alerts.note import Counts, FailureNote
from airflow_fanout.alerts.started import Started

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
NEXT = "The message above says what to do, and the runbook explains it."
CLEAR = (
    "Once the cause is fixed, clear the failed task with its downstream tasks. What was fetched isn't requested again."
)


class FailedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task that has failed.

    :param note: what it has left behind; `None` if it couldn't.
    :param ours: whether it is one of the plugin's, which leave notes.
    :param step: which step of a report it is: "extract", "fetch", "validate" or "load"; "" for none of these.
    """

    task_id: str
    map_index: int = -1
    note: FailureNote | None = None
    ours: bool = True
    step: str = ""

    @property
    def message(self) -> str:
        """What is known of it."""
        if self.note is None:
            return SILENT if self.ours else STRANGE
        return self.note.message


class FailedRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run that has failed.

    :param as_of: the run's one date, if it is known.
    :param zone: the report's time zone.
    :param reason: Airflow's word for why the run has failed.
    :param tasks: the failed tasks, in the report's order.
    :param waiting: the tasks that weren't run because of them.
    :param problem: why less is known than could be.
    :param started: how the run came about.
    """

    run_id: str
    as_of: datetime | None
    zone: tzinfo
    started: Started = Started()
    reason: str = ""
    tasks: tuple[FailedTask, ...] = ()
    waiting: tuple[str, ...] = ()
    problem: str = ""

    @property
    def groups(self) -> list[list[FailedTask]]:
        """The failed tasks, those with the same failure together."""
        groups: dict[tuple[str, str], list[FailedTask]] = {}
        for task in self.tasks:
            # People call failures of a task the same that differ in the message's numbers only.
            groups.setdefault((task.task_id, re.sub(r"\d[\d,.]*", "#", task.message)), []).append(task)
        return list(groups.values())

    @property
    def counts(self) -> Counts | None:
        """How many parameters are missing: the sum over the shards."""
        known = [task.note.counts for task in self.tasks if task.note and task.note.counts]
        if not known:
            return None
        causes: Counter[str] = Counter()
        for counts in known:
            causes.update(counts.causes)
        return Counts(total=max(counts.total for counts in known), causes=dict(causes.most_common()))

    @property
    def section(self) -> str:
        """The section of the runbook about this failure, by the anchor of its heading."""
        if not self.tasks:
            return "timed-out" if self.reason == "timed_out" else "failed-in-another-task"
        # What has failed first is what the others may have failed of.
        first = self.tasks[0]
        if first.ours and first.note is None:
            return "the-task-ended-without-a-word"
        return f"failed-in-{first.step}" if first.step else "failed-in-another-task"


def failed(run: FailedRun, pages: Pages) -> Alert:
    """Return the message about a run that has failed."""
    steps = list(dict.fromkeys(task.task_id for task in run.tasks))
    if not steps and run.reason == "timed_out":
        steps = ["timed out"]
    where = f": {', '.join(steps)}" if steps else ""
    counts = run.counts
    missing = f", {counts.missing:,} of {counts.total:,} missing" if counts and counts.missing else ""
    subject = f"{pages.dag_id} has failed for {day(run.as_of, run.zone)}{where}{missing}"
    return alert(subject, _pieces(run, pages), pages.links(run.run_id, run.section), _look(counts))


def _look(counts: Counts | None) -> Look:
    if counts is None or not counts.missing:
        return Look(label="Failed")
    good = max(0, counts.total - counts.missing)
    numbers = ((counts.missing, "missing"), (good, "with a valid result"), (counts.total, "parameters"))
    figures = tuple((f"{number:,}", unit) for number, unit in numbers)
    return Look(label="Failed", figures=figures, good_share=good / counts.total if counts.total else 0.0)


def _pieces(run: FailedRun, pages: Pages) -> Iterator[Piece]:
    if facts := run.started.facts:
        yield Facts(facts)
    if run.reason in REASONS:
        yield Say(REASONS[run.reason])
    if run.problem:
        yield Say(run.problem)
    # Validate has the counts and the causes in its own message, with samples.
    is_counted = any(task.note and task.note.error == "ValidationFailed" for task in run.tasks)
    counts, groups = run.counts, run.groups
    if counts and counts.missing and not is_counted:
        yield Say(f"{counts.missing:,} of {counts.total:,} parameters have no valid result:")
        yield Quote("\n".join(f"{count:,} × {cause}" for cause, count in counts.causes.items()))
    for group in groups[:MOST_GROUPS]:
        yield from _of_group(group, run.run_id, pages)
    if len(groups) > MOST_GROUPS:
        yield Say(f"The run's page lists {len(groups) - MOST_GROUPS} more failures.")
    if run.waiting:
        yield Say(f"Not run as a result: {', '.join(run.waiting)}.")
    # That message also says what is to be cleared: validate itself would judge the same results again.
    yield Say(NEXT if is_counted else f"{NEXT} {CLEAR}")


def _of_group(group: Sequence[FailedTask], run_id: str, pages: Pages) -> Iterator[Piece]:
    """Yield what there is to say of tasks with the same failure; the log is the first one's."""
    first, named = group[0], group[0].task_id
    if indexes := [str(task.map_index) for task in group if task.map_index >= 0]:
        which = f"shard {indexes[0]}" if len(indexes) == 1 else f"{len(indexes)} shards ({', '.join(indexes[:20])})"
        named = f"{first.task_id}, {which},"
    yield Say(f"{named}{'' if first.note is None else f' failed with {first.note.error}'}:")
    yield Quote(first.message)
    yield AlertLink("Log", pages.log(run_id, first.task_id, first.map_index))
