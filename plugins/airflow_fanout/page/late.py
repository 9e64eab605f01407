"""Whether a report is late: by its DAG's own deadline, or, without one, by when its next run should have begun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from airflow_fanout.alerts.due import due
from airflow_fanout.page.rows import NextRun, StoredRun

# The scheduler takes a while; a run that was due longer ago is late, if its DAG has no deadline that says when.
BEGINS_WITHIN = timedelta(minutes=10)


class DagDeadline(msgspec.Struct, frozen=True):
    """A deadline of a DAG's runs.

    :param reference: what it is counted from, as Airflow stores it.
    :param interval: how long after that it is.
    """

    reference: Mapping[str, Any]
    interval: timedelta

    def of(self, run: NextRun) -> datetime | None:
        """Return the deadline of a run that isn't there yet; `None` if only its beginning will tell."""
        begin: datetime | None = None
        match self.reference:
            case {"reference_type": "LoadedBy", "at": str(at), "timezone": str(zone)} if run.due:
                begin = due(run.due, time.fromisoformat(at), ZoneInfo(zone), run.due)
            case {"reference_type": "DagRunLogicalDateDeadline"}:
                begin = run.logical_date
            case {"reference_type": "FixedDatetimeDeadline", "datetime": int() | float() as seconds}:
                begin = datetime.fromtimestamp(seconds, UTC)
        return None if begin is None else begin + self.interval


class Late(msgspec.Struct, frozen=True):
    """Since when a report is late.

    :param missed: "deadline" if its DAG says by when a run has to be done, "schedule" if the next run has not begun.
    """

    since: datetime
    missed: str


def late(
    runs: Iterable[StoredRun],
    passed: Mapping[int, datetime],
    following: NextRun | None,
    deadlines: Sequence[DagDeadline],
    now: datetime,
) -> Late | None:
    """Return since when a report is late; `None` if it isn't.

    :param runs: its runs, the newest first. Of those after the last good one, the newest that has a deadline counts.
    :param passed: the deadlines of runs that have passed, by the run's id.
    :param following: the next run.
    :param deadlines: of the DAG's runs.
    """
    for run in runs:
        if run.state == "success":
            break
        if run.id in passed:
            return Late(passed[run.id], "deadline")
    if following is None or following.paused or following.due is None or following.due > now:
        return None
    known = [moment for deadline in deadlines if (moment := deadline.of(following)) is not None]
    if known:
        return Late(min(known), "deadline") if min(known) < now else None
    return Late(following.due, "schedule") if now - following.due > BEGINS_WITHIN else None
