from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from airflow_fanout.alerts.message import Pages
from airflow_fanout.alerts.partial import partial
from airflow_fanout.staging.left_out import LeftOut
from airflow_fanout.staging.open_failures import ReportRun

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 11, 21, 23, tzinfo=UTC)
RUN = ReportRun(run_id="scheduled", as_of=NIGHT, made_by="scheduled", started=NIGHT)


def left_out(count: int, **causes: int) -> LeftOut:
    """Return what a report has left out."""
    return LeftOut(
        run_id="scheduled",
        as_of=NIGHT.isoformat(),
        as_of_from="logical_date",
        day="2026-11-22",
        since=NIGHT,
        until=datetime(2026, 11, 29, 5, tzinfo=UTC),
        count=count,
        nonce="",
        causes=causes,
    )


def test_the_message_says_what_is_missing_and_what_happens_next() -> None:
    """The subject has the number; the text has the causes, what the next run does, and how to complete this one."""
    message = partial(RUN, {"calls": left_out(3, timeout=2, invalid=1)}, BERLIN, Pages("http://airflow", "daily"))
    assert message.subject == "daily is loaded in part for 2026-11-22: 3 missing"
    then = (
        "All others are loaded. The next run first asks again for those that are missing, with this run's date, and "
        "loads them. If they fail again, the runs after it do the same, until 2026-11-29 06:00 (CET)."
    )
    assert message.text.splitlines()[2:] == [
        "3 parameters have no valid result and were left out:",
        "    2 × timeout",
        "    1 × invalid",
        then,
        "To complete this run now, clear its fetch task with its downstream tasks.",
        "Page: http://airflow/dags/daily/runs/scheduled/plugin/fanout-dag_run",
        "Runbook: http://airflow/dags/daily/runs/scheduled/plugin/fanout-dag_run#loaded-in-part",
        "Run: http://airflow/dags/daily/runs/scheduled",
        "Report: http://airflow/dags/daily/plugin/fanout-dag",
    ]


def test_several_reports_of_a_dag_make_one_message() -> None:
    """Each is named, and the subject has the sum."""
    left_outs = {"calls": left_out(1, timeout=1), "sms": left_out(1_200, invalid=1_200)}
    message = partial(RUN, left_outs, BERLIN, Pages("http://airflow", "daily"))
    assert message.subject == "daily is loaded in part for 2026-11-22: 1,201 missing"
    assert "1,200 parameters of sms have no valid result and were left out:" in message.text
