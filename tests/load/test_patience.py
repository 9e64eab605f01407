from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from airflow_fanout.mongo.errors import MongoFailed
from airflow_fanout.mongo.retrying import LONGEST_PAUSE_S, Retrying, passes


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def failing(clock: Clock, *, until_s: float, error: PyMongoError) -> Callable[[], str]:
    """Return a step that fails until then."""

    def step() -> str:
        if clock.now < until_s:
            raise error
        return "done"

    return step


def bulk(writes: list[int], concerns: list[int]) -> BulkWriteError:
    """Return the error of a batch with these codes."""
    details: dict[str, Any] = {
        "writeErrors": [{"code": code, "index": 0, "errmsg": ""} for code in writes],
        "writeConcernErrors": [{"code": code, "errmsg": ""} for code in concerns],
    }
    return BulkWriteError(details)


def test_an_outage_within_the_patience_is_waited_for() -> None:
    """The step's answer comes as if nothing had been; the pauses grow, and stay short."""
    clock = Clock()
    retrying = Retrying("reports.calls", 60, clock=clock, sleep=clock.sleep)
    assert retrying.run(failing(clock, until_s=50, error=AutoReconnect("gone"))) == "done"
    assert clock.slept == sorted(clock.slept)
    assert max(clock.slept) == LONGEST_PAUSE_S
    assert clock.now < 50 + LONGEST_PAUSE_S


@pytest.mark.parametrize("limit_s", [0.05, 1.0, 60.0])
def test_the_patience_has_an_end(limit_s: float) -> None:
    """Then the error has its cause, the time and the collection, and isn't later than that time."""
    clock = Clock()
    retrying = Retrying("reports.calls", limit_s, clock=clock, sleep=clock.sleep)
    with pytest.raises(MongoFailed, match=rf"reports\.calls .*AutoReconnect: for {limit_s:g} s: gone") as caught:
        retrying.run(failing(clock, until_s=1000, error=AutoReconnect("gone")))
    assert caught.value.retry
    assert clock.now <= limit_s


def test_each_step_has_the_whole_patience() -> None:
    """An outage that was survived takes nothing from the next one."""
    clock = Clock()
    retrying = Retrying("reports.calls", 60, clock=clock, sleep=clock.sleep)
    for outage in range(1, 6):
        assert retrying.run(failing(clock, until_s=50.0 * outage, error=AutoReconnect("gone"))) == "done"


def test_what_does_not_pass_is_not_waited_for() -> None:
    """A refusal is the first answer and the last."""
    clock = Clock()
    retrying = Retrying("reports.calls", 60, clock=clock, sleep=clock.sleep)
    with pytest.raises(OperationFailure):
        retrying.run(failing(clock, until_s=1, error=OperationFailure("not authorized", 13)))
    assert clock.slept == []


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect(""),
        NetworkTimeout(""),
        NotPrimaryError(""),
        ServerSelectionTimeoutError(""),
        ExecutionTimeout("", 50),
        WTimeoutError("", 64),
        OperationFailure("", 11602),
        OperationFailure("", 20, {"errmsg": "Transaction numbers are only allowed on a replica set member or mongos"}),
        bulk([], [64]),
        bulk([91], []),
        bulk([11000], [189]),
    ],
    ids=repr,
)
def test_what_passes(error: PyMongoError) -> None:
    """A member that isn't there, isn't primary or is late may be so no longer."""
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError(""),
        OperationFailure("", 13),
        OperationFailure("", 18),
        OperationFailure("", 20),
        OperationFailure("", 20, {"errmsg": "Cannot create a view here"}),
        bulk([11000], []),
        bulk([121, 91], []),
        bulk([], [79]),
        bulk([], []),
    ],
    ids=repr,
)
def test_what_stays(error: PyMongoError) -> None:
    """What the server has decided, it will decide again."""
    assert not passes(error)
