"""Whether a report is late: by its DAG's deadline, else by when its next run should have begun. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_fanout.notifications.deadline import LoadedBy
from airflow_fanout.page.late import DagDeadline, Late, late
from airflow_fanout.page.rows import NextRun, StoredRun

DUE = datetime(2026, 11, 22, tzinfo=UTC)
EIGHT = DagDeadline(LoadedBy("08:00", "Europe/Berlin").serialize_reference(), timedelta(0))
# In Berlin, that is 08:00 in winter.
SEVEN_UTC = DUE.replace(hour=7)
NEXT = NextRun(due=DUE, logical_date=DUE - timedelta(days=1))


def run(number: int, state: str) -> StoredRun:
    """Return a run."""
    return StoredRun(
        id=number, dag_id="dag", run_id=f"run {number}", state=state, run_type="scheduled", run_after=DUE, start=DUE,
        end=None, by=None, conf={}, backfill_id=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("following", "deadlines", "now", "since", "missed"),
    [
        (NEXT, [], DUE + timedelta(minutes=10), None, None),
        (NEXT, [], DUE + timedelta(minutes=11), DUE, "schedule"),
        (NEXT, [EIGHT], DUE + timedelta(minutes=11), None, None),
        (NEXT, [EIGHT], SEVEN_UTC, None, None),
        (NEXT, [EIGHT], SEVEN_UTC + timedelta(seconds=1), SEVEN_UTC, "deadline"),
        (NextRun(due=DUE, paused=True), [], DUE + timedelta(days=1), None, None),
        (NextRun(), [EIGHT], DUE + timedelta(days=1), None, None),
        (NextRun(due=DUE + timedelta(days=1)), [EIGHT], DUE + timedelta(hours=9), None, None),
        (None, [EIGHT], DUE, None, None),
    ],
)
def test_a_run_that_has_not_begun(
    following: NextRun | None, deadlines: list[DagDeadline], now: datetime, since: datetime | None, missed: str | None
) -> None:
    """A deadline takes the place of the ten minutes, also when it is later."""
    expected = None if since is None else Late(since, missed or "")
    assert late([], {}, following, deadlines, now) == expected


@pytest.mark.parametrize(
    ("reference", "moment"),
    [
        ({"reference_type": "DagRunLogicalDateDeadline"}, DUE - timedelta(hours=22)),
        ({"reference_type": "FixedDatetimeDeadline", "datetime": DUE.timestamp()}, DUE + timedelta(hours=2)),
        ({"reference_type": "DagRunQueuedAtDeadline"}, None),
        ({"reference_type": "AverageRuntimeDeadline", "max_runs": 9}, None),
        ({"reference_type": "Another"}, None),
    ],
)
def test_deadlines_of_airflow(reference: dict[str, Any], moment: datetime | None) -> None:
    """Those that are known before a run begins; the others have to wait for the run."""
    assert DagDeadline(reference, timedelta(hours=2)).of(NEXT) == moment


@pytest.mark.parametrize(
    ("states", "passed", "since"),
    [
        (["running"], [1], DUE),
        (["running"], [], None),
        (["failed"], [1], DUE),
        (["success"], [1], None),
        # By hand, while the night's run has failed.
        (["running", "failed"], [2], DUE),
        (["running", "success", "failed"], [3], None),
    ],
)
def test_a_run_that_has_missed_its_deadline(states: list[str], passed: list[int], since: datetime | None) -> None:
    """Until it is loaded, or a later one is."""
    runs = [run(number, state) for number, state in enumerate(states, start=1)]
    result = late(runs, dict.fromkeys(passed, DUE), NextRun(), [EIGHT], DUE + timedelta(hours=1))
    assert result == (None if since is None else Late(since, "deadline"))
