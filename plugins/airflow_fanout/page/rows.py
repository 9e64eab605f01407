"""What the page takes from Airflow's database, as values: runs, and tasks with what they have left."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec

RETURNED = "return_value"


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a DAG."""

    id: int
    dag_id: str
    run_id: str
    state: str
    run_type: str
    run_after: datetime
    start: datetime | None
    end: datetime | None
    by: str | None
    conf: dict[str, Any]
    backfill_id: int | None


class NextRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run of a DAG that comes next.

    :param due: when the scheduler makes it; `None` if no run is to come.
    :param logical_date: its logical date, if it will have one.
    """

    paused: bool = False
    due: datetime | None = None
    logical_date: datetime | None = None


class StoredBackfill(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill: the days that somebody wanted, from the first moment to the last.

    :param days: how many of its days are in which state; see `StoredDay`.
    """

    id: int
    begin: datetime
    end: datetime
    by: str | None
    paused: bool
    created: datetime
    completed: datetime | None
    days: dict[str, int] = {}


class StoredDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day of a backfill.

    :param logical_date: that of its run; `None` for a DAG of partitions.
    :param partition: the key of its partition.
    :param state: that of its own run; without one, "skipped" or "deleted".
    :param reason: why it was skipped, in Airflow's words.
    :param run: its run; of a day that was skipped, the one that was there already.
    """

    logical_date: datetime | None
    partition: str | None
    state: str
    reason: str | None = None
    run: StoredRun | None = None


class StoredTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task of a run, and what it has left: what it returned, its failure's note, and its last progress."""

    task_id: str
    map_index: int
    state: str | None
    start: datetime | None
    end: datetime | None
    try_number: int
    max_tries: int
    returned: Any = None
    failure: Any = None
    progress: dict[str, Any] = {}


def day_of(value: Any) -> str | None:
    """Return the day that a task has returned, in ISO 8601; `None` if there is none, or what is there is no day."""
    try:
        return date.fromisoformat(value).isoformat()
    except (TypeError, ValueError):
        return None
