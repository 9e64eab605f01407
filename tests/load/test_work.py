"""What a load says while it goes on, and while it waits."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient

from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporting import reported
from airflow_fanout.mongo.errors import MongoUnreachable
from airflow_fanout.mongo.write import LoadWork
from harness.mongod import Mongod
from tests.load.loads import load, numbered
from tests.load.test_patience import Clock

LOG = logging.getLogger("test_work")


def test_a_line_says_how_far_a_step_is() -> None:
    """Documents, share, the rate of the last seconds and the time left at that rate."""
    clock = Clock()
    work = LoadWork(clock=clock)
    work.begin("Writing", 100_000)
    for _ in range(20):
        clock.now += 1
        work.add(1000)
        work.snapshot()
    assert work.line() == "Writing: 20,000 of 100,000 documents (20 %), 1,000/s, 80 s left"
    assert work.snapshot() == {"step": "Writing", "total": 100_000, "done": 20_000, "rate_per_s": 1000.0, "left_s": 80}


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """Where nothing moves, there is no rate and no time left."""
    clock = Clock()
    work = LoadWork(clock=clock)
    work.begin("Writing", 1000)
    clock.now += 1
    work.add(500)
    work.snapshot()
    for _ in range(30):
        clock.now += 1
        work.snapshot()
    assert work.line() == "Writing: 500 of 1,000 documents (50 %), 0/s"


def test_a_wait_says_for_what_since_when_and_until_when() -> None:
    """From a few seconds on the line is about the wait: the oldest one, with its cause."""
    clock = Clock()
    work = LoadWork(clock=clock)
    work.begin("Writing", 1000)
    causes = [""]
    with work.waiting("MongoDB (connection 'mongo_reports', db:27017)", 60, lambda: causes[-1]):
        clock.now += 2
        assert "waiting" not in work.line()
        clock.now += 10
        causes.append("db:27017: [Errno 111] Connection refused")
        line = work.line()
        assert line.startswith("Writing: waiting for MongoDB (connection 'mongo_reports', db:27017) for 12 s (db:")
        assert "(db:27017: [Errno 111] Connection refused). Load waits" in line
        assert "Load waits until " in line
        assert line.endswith("UTC, then fails.")
    assert "waiting" not in work.line()
    with work.waiting("an index build", None):
        clock.now += 5
        assert work.line().endswith("for 5 s. There is no time limit.")


def test_a_mongodb_that_is_gone_is_waited_for_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A line every few seconds names the connection, the address and the cause; so does the error."""
    caplog.set_level(logging.INFO)
    with Mongod.start(tmp_path) as server:
        port, work = server.port, LoadWork()
        with MongoClient[dict[str, Any]](server.uri) as client:
            load(client.reports.calls, numbered(5, 1))
            server.kill()
            with (
                reported(work, TaskState({}, LOG), logged_each_s=0.5, stored_each_s=0.1),
                pytest.raises(MongoUnreachable) as caught,
            ):
                load(client.reports.calls, numbered(5, 2), timeout_s=6.0, work=work)
    lines = [record.getMessage() for record in caplog.records if "waiting for MongoDB" in record.getMessage()]
    assert len(lines) > 1
    assert all(f"(connection 'mongo_default', 127.0.0.1:{port})" in line for line in lines)
    assert any("Connection refused" in line for line in lines)
    assert "it was tried for 6 s" in str(caught.value)
    assert not [text for text in (*lines, str(caught.value)) if "Topology" in text or "timeout" in text.lower()]


def test_a_mongodb_that_hangs_is_waited_for_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A server that takes a question and doesn't answer it is no silence, either."""
    caplog.set_level(logging.INFO)
    work = LoadWork()
    with Mongod.start(tmp_path) as server, MongoClient[dict[str, Any]](server.uri) as client:
        load(client.reports.calls, numbered(5, 1))
        process = psutil.Process(server.pid)
        process.suspend()
        try:
            with (
                reported(work, TaskState({}, LOG), logged_each_s=0.5, stored_each_s=0.1),
                pytest.raises(MongoUnreachable),
            ):
                load(client.reports.calls, numbered(5, 2), timeout_s=5.0, work=work)
        finally:
            process.resume()
    assert "waiting for MongoDB (connection 'mongo_default'" in caplog.text


class States:
    """A task's state store that keeps all that it was given."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = []

    def set(self, key: str, value: dict[str, Any]) -> None:
        assert key == "progress"
        self.states.append(value)


def test_the_state_is_stored_to_its_end() -> None:
    """The last state that is stored is that of the end, whatever the time since the one before."""
    work, store = LoadWork(), States()
    with reported(work, TaskState({"task_state_store": store}, LOG), stored_each_s=0.01):
        work.begin("Writing", 10)
        while not store.states:
            time.sleep(0.001)
        work.add(10)
    assert store.states[-1]["done"] == 10


def test_a_state_that_cannot_be_stored_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is said once."""
    with reported(LoadWork(), TaskState({}, LOG), stored_each_s=0.001):
        time.sleep(0.05)
    assert [record.getMessage() for record in caplog.records] == [
        "The progress could not be shown: KeyError: 'task_state_store'"
    ]
