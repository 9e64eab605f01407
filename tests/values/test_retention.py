from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_fanout.staging.retention import RetentionPolicy, RunStatus

DAYS = st.integers(1, 400)
IDLE = st.floats(0, 1e6, allow_nan=False)
KEEP = RetentionPolicy(days=7, failed_days=30)


@given(DAYS, DAYS, IDLE)
def test_a_run_that_is_alive_never_goes(days: int, failed_days: int, idle_days: float) -> None:
    """However old its files are: a task may wait for its next try for weeks."""
    assert not RetentionPolicy(days=days, failed_days=failed_days).goes(RunStatus.ALIVE, idle_days)


def test_a_failed_run_stays_longer_than_a_good_one() -> None:
    """It may be completed by clearing it; what can't be told from a failed run stays as long."""
    gone = {
        standing: [days for days in (6.9, 7.0, 29.9, 30.0) if KEEP.goes(standing, days)]
        for standing in (RunStatus.OVER, RunStatus.FAILED, RunStatus.UNKNOWN)
    }
    assert gone == {RunStatus.OVER: [7.0, 29.9, 30.0], RunStatus.FAILED: [30.0], RunStatus.UNKNOWN: [30.0]}


@given(DAYS, DAYS, IDLE, st.sampled_from(RunStatus))
def test_what_may_not_go_is_not_asked_about(days: int, failed_days: int, idle_days: float, standing: RunStatus) -> None:
    """A directory that is too young for any standing goes for none."""
    keep = RetentionPolicy(days=days, failed_days=failed_days)
    assert keep.may_go(idle_days) or not keep.goes(standing, idle_days)
