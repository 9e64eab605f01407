"""What a long validation says while it goes on."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_fanout import CustomCheck, ValidateOperator
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.validation.judging import Judging
from tests.load.staged import COUNT, staged

LOG = logging.getLogger("test_judging")
if TYPE_CHECKING:
    import pytest

WORKING = "a check's own function has been at work on them"
RECORDS = [Record.of(index, index, Outcome(Kind.OK), 1, 1.0) for index in range(3_000)]


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class States:
    """The state store of a task, as Airflow gives it to an operator."""

    def __init__(self) -> None:
        self.stored: list[Any] = []

    def set(self, key: str, value: Any) -> None:
        """Keep what is stored."""
        assert key == "progress"
        self.stored.append(value)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """After a slow beginning, a fast reading is told as fast, and its rest as short."""
    clock = Clock()
    judging = Judging(4_000, clock=clock)
    records = judging.watched("Judging the results", RECORDS)
    for number in range(2_500):
        next(records)
        if number == 1_100:
            clock.now += 100
            assert judging.line() == f"Judging the results: 1,000 of 4,000 records; {WORKING} for 100 s"
    clock.now += 10
    assert judging.line() == f"Judging the results: 2,000 of 4,000 records; {WORKING} for 10 s"
    for _ in records:
        pass
    assert judging.line() == "Judging the results: 3,000 of 4,000 records, 200/s, 5 s left"
    assert judging.snapshot() == {"step": "Judging the results", "total": 4_000, "done": 3_000, "rate_per_s": 200.0}


def test_a_check_that_takes_its_time_is_seen() -> None:
    """While an author's function works, the log says which reading that is, and so does the state."""
    states, seen = States(), threading.Event()

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "A check reads the results again" in record.getMessage():
                seen.set()

    logger, handler = logging.getLogger("airflow_fanout.adapters.reporting"), Seen()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    judging = Judging(len(RECORDS))
    try:
        with reported(judging, TaskState({"task_state_store": states}, LOG), logged_each_s=0.01, stored_each_s=0.01):
            for _ in judging.watched("A check reads the results again", RECORDS):
                pass
            assert seen.wait(60)
    finally:
        logger.removeHandler(handler)
    assert states.stored[-1]["done"] == len(RECORDS)


def test_the_last_state_is_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a validation the state has all its records, of the last reading that there was, and then the verdict."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path))
    states = States()
    run = staged(tmp_path)
    context: Any = {"task_state_store": states}
    ValidateOperator(task_id="validate", parameters=run.reference).execute(context)
    assert states.stored[-2] | {"rate_per_s": 0} == {
        "step": "Judging the results",
        "total": COUNT,
        "done": COUNT,
        "rate_per_s": 0,
    }
    checked = CustomCheck(lambda pairs: None if sum(1 for _ in pairs) == COUNT else "not all")
    ValidateOperator(task_id="validate", parameters=run.reference, checks=[checked]).execute(context)
    assert (states.stored[-2]["step"], states.stored[-2]["done"]) == ("A check reads the results again", COUNT)
    assert (states.stored[-1]["ok"], len(states.stored[-1]["checks_run"])) == (COUNT, 1)
