"""What the page takes from Airflow's database, as values: runs, and tasks with what they have left."""

from __future__ import annotations

from datetime import datetime
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
