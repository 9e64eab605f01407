from __future__ import annotations

from datetime import UTC, datetime

from airflow_fanout.alerts.caught_up import caught_up
from airflow_fanout.alerts.message import Pages
from airflow_fanout.staging.catch_up import Settled
from airflow_fanout.staging.open_failures import ReportRun

NOW = datetime(2026, 11, 23, tzinfo=UTC)
RUN = ReportRun(run_id="third", as_of=NOW, made_by="scheduled", started=NOW)
PAGES = Pages("http://airflow", "daily")


def settled(day: int, *, given_up: int = 0) -> Settled:
    """Return what has become of what a day's run left out."""
    return Settled(run_id=f"run {day}", day=f"2026-11-{day}", loaded=3, given_up=given_up, days=7)


def test_a_day_that_is_complete_is_told() -> None:
    """All days are in the subject, each run is linked."""
    message = caught_up(RUN, [settled(20), settled(21)], PAGES)
    assert message.subject == "daily is complete for 2026-11-20, 2026-11-21"
    assert message.text.splitlines()[2:] == [
        "2026-11-20: the 3 parameters that were left out are loaded.",
        "That run: http://airflow/dags/daily/runs/run%2020",
        "2026-11-21: the 3 parameters that were left out are loaded.",
        "That run: http://airflow/dags/daily/runs/run%2021",
        "Page: http://airflow/dags/daily/runs/third/plugin/fanout-dag_run",
        "Runbook: http://airflow/dags/daily/runs/third/plugin/fanout-dag_run#loaded-in-part",
        "Run: http://airflow/dags/daily/runs/third",
        "Report: http://airflow/dags/daily/plugin/fanout-dag",
    ]


def test_what_is_given_up_is_the_subject() -> None:
    """It comes first what nobody will ask for again, and what to do."""
    message = caught_up(RUN, [settled(20), settled(21, given_up=2)], PAGES)
    assert message.subject == "daily stays incomplete for 2026-11-21: 2 given up"
    assert "2026-11-21: 2 parameters that were left out have failed again, and are given up" in message.text
    assert "clear the fetch task of that run with its downstream tasks." in message.text
