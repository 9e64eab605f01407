"""Alerts of a team's DAG look into the team's own staging area: Airflow doesn't say in a callback whose DAG it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_fanout.notifications.alerts import Alerts
from airflow_fanout.notifications.channel import Channel
from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from tests.alerts.test_channel import SENT, Keeping

DAY = datetime(2026, 11, 22, tzinfo=UTC)
SUBJECT = Channel(Keeping, text="{{ macros.fanout.alert().text }}")


@pytest.fixture
def area(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the team's area, in a process that belongs to no team's task."""
    monkeypatch.setenv("AIRFLOW__FANOUT__STAGING", str(tmp_path / "{team}"))
    monkeypatch.delenv("AIRFLOW_CTX_TEAM_NAME", raising=False)
    SENT.clear()
    return tmp_path / "research"


def context(run_id: str) -> Any:
    """Return what Airflow gives a DAG's callback."""
    run = {"run_id": run_id, "run_type": SimpleNamespace(value="scheduled"), "start_date": DAY, "run_after": DAY}
    run |= {"conf": None, "triggering_user_name": None, "end_date": DAY, "clear_number": 0}
    dag_run = SimpleNamespace(**run, logical_date=DAY, data_interval_start=None, data_interval_end=None)
    return {"dag": DAG("report", schedule=None, start_date=DAY), "dag_run": dag_run, "run_id": run_id, "params": {}}


def test_a_recovery_is_found_where_the_failure_was_remembered(area: Path) -> None:
    """In the team's area, by callbacks that know the team from the DAG file only."""
    alerts = Alerts(SUBJECT, team="research")
    alerts.failed(context("monday"))
    assert [file.name for file in area.rglob("*.json")] == ["monday.json"]
    SENT.clear()
    alerts.recovered(context("monday"))
    assert len(SENT) == 1
    assert [*area.rglob("*.json")] == []


def test_a_deadlines_message_has_the_progress_of_the_teams_run(area: Path) -> None:
    """The team is among what Airflow keeps until the deadline is missed."""
    ReportDirectory.of(FolderStore(area), dag_id="report", run_id="monday", report="calls").new_list()
    callback = Alerts(SUBJECT, team="research").not_loaded_by("08:00").callback
    run = {"dag_id": "report", "dag_run_id": "monday", "state": "running", "run_after": DAY.isoformat()}
    missed = {"dag_run": run, "deadline": {"id": "1", "deadline_time": DAY.isoformat()}}
    asyncio.run(callback_of(callback)(**callback.kwargs, context=missed))
    [text] = SENT
    assert "extract" in text


def callback_of(callback: Any) -> Any:
    """Return the function that Airflow's triggerer calls."""
    from airflow.sdk._shared.module_loading import import_string

    return import_string(callback.path)
