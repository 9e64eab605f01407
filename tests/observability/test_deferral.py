"""A task that gives its worker slot back, and goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import TaskDeferralError, TaskDeferred

from airflow_fanout.adapters.deferral import OVERDUE, hand_back
from airflow_fanout.adapters.operator import EngineOperator
from airflow_fanout.launch.errors import BudgetWait, LongWait, QuotaTooSmall
from airflow_fanout.launch.resumption import MOST_STALLED

RENEWAL = "the renewal of the quota, 10,000 requests per day (UTC)"


class Fetching(EngineOperator):
    """A task that returns after how many stalled executions it goes on."""

    def execute(self, context: Any) -> int:  # noqa: ARG002 - Airflow's signature
        return self.stalled


def handed_back(wait: BudgetWait, stalled: int = 0) -> tuple[TaskDeferred, list[tuple[str, datetime]]]:
    """Return how a task defers for a wait, and what it shows."""
    task, shown = Fetching(task_id="fetch"), []
    task.stalled = stalled
    with pytest.raises(TaskDeferred) as deferred:
        hand_back(task, wait, lambda *values: shown.append(values))
    return deferred.value, shown


def test_a_task_defers_until_the_wait_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    """The trigger fires at that moment; what is shown has the same one."""
    before = datetime.now(UTC)
    deferred, shown = handed_back(BudgetWait(3_600.0, RENEWAL, done=10_000, total=12_000))
    assert isinstance(deferred.trigger, DateTimeTrigger)
    moment = deferred.trigger.moment
    assert before + timedelta(seconds=3_600) <= moment <= datetime.now(UTC) + timedelta(seconds=3_601)
    assert shown == [(RENEWAL, moment)]
    assert deferred.method_name == "resume"
    # Without a triggerer, the scheduler ends the wait a little later.
    assert isinstance(deferred.timeout, timedelta)
    assert moment + OVERDUE - timedelta(seconds=60) < before + deferred.timeout <= moment + OVERDUE
    text = capsys.readouterr().out
    assert "The API's budget lets nothing through for 3,600 s: the task waits for the renewal of the quota" in text
    assert "10,000 of 12,000 parameters are in the journal" in text
    assert "This needs a triggerer" in text


def test_the_apis_own_pause_defers_in_the_same_way() -> None:
    """Its sentence is its own."""
    wait = LongWait(900.0, "the pause that the API asked for", done=1, total=2)
    _, shown = handed_back(wait)
    assert shown[0][0] == "the pause that the API asked for"
    assert str(wait).startswith("The API asked us to wait 900 s. 1 of 2 parameters")


def test_a_task_that_never_gets_anywhere_ends() -> None:
    """A parameter with more requests than the quota would use up each of them for ever."""
    stuck = BudgetWait(3_600.0, RENEWAL, done=7, total=8, has_moved=False)
    for stalled in range(MOST_STALLED - 1):
        deferred, _ = handed_back(stuck, stalled)
        assert deferred.kwargs == {"stalled": stalled + 1}
    with pytest.raises(QuotaTooSmall, match="between the last 3 renewals") as error:
        hand_back(_stalled(MOST_STALLED - 1), stuck, print)
    assert not error.value.retry
    # One that has moved in between begins to count again.
    deferred, _ = handed_back(BudgetWait(3_600.0, RENEWAL, done=8, total=9), MOST_STALLED - 1)
    assert deferred.kwargs == {"stalled": 0}


def _stalled(times: int) -> Fetching:
    task = Fetching(task_id="fetch")
    task.stalled = times
    return task


def test_a_task_goes_on_with_what_it_has_left_behind() -> None:
    """Airflow calls `resume` with the arguments of the deferral, and the trigger's event."""
    assert Fetching(task_id="fetch").resume_execution("resume", {"stalled": 2, "event": "now"}, {}) == 2  # type: ignore[arg-type]


def test_a_wait_that_no_triggerer_has_ended_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Airflow's scheduler resumes such a task to make it fail; it goes on, and says what is missing."""
    assert Fetching(task_id="fetch").resume_execution("__fail__", {"error": "Trigger timeout"}, {}) == 0  # type: ignore[arg-type]
    assert "Is a triggerer running?" in capsys.readouterr().out


def test_a_trigger_that_has_failed_fails_the_task() -> None:
    """Nothing says that the wait is over."""
    with pytest.raises(TaskDeferralError):
        Fetching(task_id="fetch").resume_execution("__fail__", {"error": "Trigger failure"}, {})  # type: ignore[arg-type]
