from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.staging.retention import RetentionPolicy, RunStatus

DAYS = st.integers(1, 400)
IDLE = st.floats(0, 1e6, allow_nan=False)
KEEP = RetentionPolicy(days=7, failed_days=30)


@given(DAYS, DAYS, IDLE)
def test_a_run_that_is_alive_never_goes(days: int, failed_days: int, idle_days: float) -> None:
    """However old its files are: a task may wait for its next try for weeks."""
    assert not RetentionPolicy(days=days, failed_days=failed_days).goes(idle_days, lambda: RunStatus.ALIVE)


def test_a_failed_run_stays_longer_than_a_good_one() -> None:
    """It may be completed by clearing it; what can't be told from a failed run stays as long."""
    gone = {
        status: [days for days in (6.9, 7.0, 29.9, 30.0) if KEEP.goes(days, partial(RunStatus, status)) is status]
        for status in (RunStatus.OVER, RunStatus.FAILED, RunStatus.UNKNOWN)
    }
    assert gone == {RunStatus.OVER: [7.0, 29.9, 30.0], RunStatus.FAILED: [30.0], RunStatus.UNKNOWN: [30.0]}


@given(DAYS, DAYS, IDLE, st.sampled_from(RunStatus))
def test_what_may_not_go_is_not_asked_about(days: int, failed_days: int, idle_days: float, status: RunStatus) -> None:
    """Airflow is asked for the status of a directory only if there is one with which it would go."""
    statuses = iter([status])
    keep = RetentionPolicy(days=days, failed_days=failed_days)
    keep.goes(idle_days, lambda: next(statuses))

    goes_with = [other for other in RunStatus if keep.goes(idle_days, partial(RunStatus, other))]
    assert list(statuses) == ([] if goes_with else [status])
