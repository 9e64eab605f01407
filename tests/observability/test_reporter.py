from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.adapters.progress_store import TaskState
from airflow_fanout.adapters.reporter import Reporter
from airflow_fanout.model.budget_status import BudgetStatus
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.waits import Reason, Wait
from airflow_fanout.staging.live import ProgressSnapshot
from tests.staging.places import place

LOG = logging.getLogger("fetch")
OUTAGE = Wait(Reason.OUTAGE, "the API gives no answer", since=1795413785.0, until=1795414085.0)
GOING = Progress(total=20_000, kinds=Counter({Kind.OK: 19_974}), seconds=60.0, recent_per_s=120.0)
ENDED = replace(
    GOING,
    kinds=Counter({Kind.OK: 19_980, Kind.HTTP_ERROR: 20}),
    seconds=61.0,
    failures=Counter({"http_error 503": 31}),
)


def reporter(folder: Path, store: dict[str, Any]) -> Reporter:
    """Return a reporter whose state store is a dict's."""
    state = SimpleNamespace(set=store.__setitem__)
    return Reporter(LOG, TaskState({"task_state_store": state}, LOG), place(folder / "progress.json"))  # type: ignore[arg-type] # what is used


def test_the_last_progress_is_what_the_task_returns(tmp_path: Path) -> None:
    """In the state store and in the run's directory: nothing contradicts the XCom."""
    store: dict[str, Any] = {}
    report = reporter(tmp_path, store)
    report.show(GOING)
    assert (store["progress"]["done"], store["progress"]["rate_per_s"]) == (19_974, 120.0)
    report.end(ENDED)
    own = {name: value for name, value in store["progress"].items() if name not in ("course", "failures")}
    assert own == ENDED.summary()
    assert store["progress"]["failures"] == {"http_error 503": 31}
    assert [row[1] for row in store["progress"]["course"]["rows"]] == [19_974]
    assert (store["progress"]["done"], store["progress"]["kinds"]) == (20_000, {"ok": 19_980, "http_error": 20})
    assert msgspec.convert(codec.decode((tmp_path / "progress.json").read_bytes()), ProgressSnapshot).done == 20_000


def test_a_deferred_task_says_until_when(tmp_path: Path) -> None:
    """In the state store and in the run's directory, for the message of a deadline."""
    store: dict[str, Any] = {}
    until = datetime(2026, 11, 27, tzinfo=UTC)
    reporter(tmp_path, store).defer(GOING, "the renewal of the quota", until)
    shown = store["progress"]
    assert (shown["waits_for"], shown["deferred_until"]) == ("the renewal of the quota", "2026-11-27T00:00:00+00:00")
    assert "budget" not in shown
    snapshot = msgspec.convert(codec.decode((tmp_path / "progress.json").read_bytes()), ProgressSnapshot)
    assert (snapshot.done, snapshot.rate_per_s, snapshot.deferred_until) == (19_974, 0.0, until)


def test_a_deferred_task_keeps_the_state_of_its_budget(tmp_path: Path) -> None:
    """Nobody asks the budget for it meanwhile."""
    store: dict[str, Any] = {}
    budget = BudgetStatus(
        name="calls",
        queue="daily",
        rank="nightly",
        rate_per_s=100.0,
        share_per_s=0.0,
        reserved=0,
        clients=1,
        left=0,
        renewal=1795413785.0,
    )
    waiting = replace(GOING, budget=budget)
    reporter(tmp_path, store).defer(waiting, "the renewal of the quota", datetime(2026, 11, 27, tzinfo=UTC))
    assert (store["progress"]["budget"]["left"], store["progress"]["budget"]["name"]) == (0, "calls")


def test_a_wait_is_logged_when_it_begins_and_when_it_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also in the seconds whose line isn't logged."""
    report = reporter(tmp_path, {})
    with caplog.at_level(logging.INFO):
        for second in range(1, 20):
            report.show(replace(GOING, wait=OUTAGE) if 13 <= second < 17 else GOING)
    logged = [record.message for record in caplog.records]
    assert len(logged) == 10 + 2
    assert ["waits: the API gives no answer, since 06:03:05 UTC" in line for line in logged[-2:]] == [True, False]


def test_a_state_store_that_fails_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A picture of the work isn't worth the work; but without a supervisor nobody would hear of the end."""

    def failing(error: Exception) -> Reporter:
        def refuse(*_: object) -> None:
            raise error

        state = TaskState({"task_state_store": SimpleNamespace(set=refuse)}, LOG)
        return Reporter(LOG, state, place(tmp_path / "p.json"))  # type: ignore[arg-type] # as above

    failing(ValueError("too large")).show(GOING)
    assert "The progress could not be shown: ValueError: too large" in caplog.text
    with pytest.raises(ConnectionError):
        failing(ConnectionError()).show(GOING)
