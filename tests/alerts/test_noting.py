from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from airflow_fanout.adapters.border import airflow_errors
from airflow_fanout.adapters.noting import noted
from airflow_fanout.alerts.note import Counts, FailureNote
from airflow_fanout.sources.errors import EmptyList
from airflow_fanout.staging.errors import StagingFailed


class Task:
    task_id = "fetch"
    map_index = 2

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


class Cut(Task):
    def xcom_push(self, _key: str, _value: Any) -> None:
        raise EOFError("the supervisor is gone")


def fail(error: BaseException, task: Task, counts: Counts | None = None) -> None:
    """Fail as a task of ours does."""
    context: Any = {"ti": task}
    with noted(context, lambda: counts), airflow_errors():
        raise error


def test_a_failure_leaves_a_note_and_goes_on() -> None:
    """What happened in the plugin's own words, though Airflow sees an exception of its own."""
    task = Task()
    with pytest.raises(AirflowFailException):
        fail(EmptyList("The list"), task, Counts(total=3, causes={"null": 1}))
    assert msgspec.convert(task.pushed["failure"], FailureNote) == FailureNote(
        task_id="fetch",
        map_index=2,
        error="EmptyList",
        message=str(EmptyList("The list")),
        counts=Counts(total=3, causes={"null": 1}),
    )


def test_a_task_that_took_too_long_says_so() -> None:
    """Airflow's timeout is no ordinary exception."""
    task = Task()
    with pytest.raises(AirflowTaskTimeout):
        fail(AirflowTaskTimeout("Timeout, PID: 7"), task)
    assert "execution_timeout" in task.pushed["failure"]["message"]


def test_a_skipped_task_leaves_none() -> None:
    """It hasn't failed."""
    task = Task()
    with pytest.raises(AirflowSkipException):
        fail(AirflowSkipException(), task)
    assert task.pushed == {}


def test_a_note_that_cant_be_left_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The failure itself goes on; the log has the other one, too."""
    with caplog.at_level(logging.WARNING), pytest.raises(StagingFailed):
        fail(StagingFailed("/x", "no space"), Cut())
    assert "The failure could not be noted" in caplog.text
