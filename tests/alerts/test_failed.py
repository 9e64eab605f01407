from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from airflow_fanout.alerts.failed import FailedRun, FailedTask, failed
from airflow_fanout.alerts.message import Pages
from airflow_fanout.alerts.note import Counts, FailureNote
from airflow_fanout.alerts.started import Started
from airflow_fanout.notifications.run import STEPS
from airflow_fanout.page.runbook import sections

BERLIN = ZoneInfo("Europe/Berlin")
PAGES = Pages("https://airflow.example.org/base/", "daily & co")
RUN = FailedRun(
    run_id="scheduled__2026-11-21T23:00:00+00:00", as_of=datetime(2026, 11, 21, 23, tzinfo=UTC), zone=BERLIN
)


def shard(index: int, message: str, **causes: int) -> FailedTask:
    """Return a failed shard of a fetch."""
    counts = Counts(total=3_000, causes=causes) if causes else None
    note = FailureNote(task_id="fetch", map_index=index, error="Tripped", message=message, counts=counts)
    return FailedTask(task_id="fetch", map_index=index, note=note)


def test_shards_that_fail_alike_are_told_once() -> None:
    """Numbers make no difference; their causes are added up, and the subject has the sum."""
    tasks = (shard(0, "After 50: 401.", http_error=50), shard(1, "After 61: 401.", http_error=61, not_tried=900))
    alert = failed(replace(RUN, tasks=tasks), PAGES)
    assert alert.subject == "daily & co has failed for 2026-11-22: fetch, 1,011 of 3,000 missing"
    assert "1,011 of 3,000 parameters have no valid result:\n    900 × not_tried\n    111 × http_error" in alert.text
    assert alert.text.count("fetch, 2 shards (0, 1), failed with Tripped:\n    After 50: 401.\n") == 1
    assert "After 61" not in alert.text


def test_shards_that_fail_differently_are_told_apart() -> None:
    """Each failure has its own words and its own log."""
    alert = failed(replace(RUN, tasks=(shard(0, "The disk is full."), shard(1, "401."))), PAGES)
    assert "fetch, shard 0, failed with Tripped:\n    The disk is full." in alert.text
    assert "fetch, shard 1, failed with Tripped:\n    401." in alert.text
    assert "/tasks/fetch/mapped/1" in alert.text


def test_the_counts_of_validate_are_told_once() -> None:
    """Its message has the counts, the causes and the samples; the subject has the sum."""
    said = "2 of 300 parameters have no valid result. Nothing was loaded.\n  2 × http_error 500\n      #17 {tel: …43}"
    note = FailureNote(
        task_id="validate",
        map_index=-1,
        error="ValidationFailed",
        message=said,
        counts=Counts(total=300, causes={"http_error 500": 2}),
    )
    alert = failed(replace(RUN, tasks=(FailedTask(task_id="validate", note=note),)), PAGES)
    assert alert.subject.endswith(": validate, 2 of 300 missing")
    assert alert.text.count("2 of 300 parameters") == 1
    assert "#17 {tel: …43}" in alert.text


def test_clearing_the_failed_task_is_advised_only_where_it_helps() -> None:
    """Validate, cleared alone, would judge the same results again: its own words say what to clear."""
    note = FailureNote(task_id="validate", map_index=-1, error="ValidationFailed", message="Clear the fetch task.")
    judged = failed(replace(RUN, tasks=(FailedTask(task_id="validate", note=note),)), PAGES)
    broken = failed(replace(RUN, tasks=(shard(0, "After 50: 401."),)), PAGES)
    assert [alert.text.count("clear the failed task") for alert in (judged, broken)] == [0, 1]


def test_a_task_without_a_note_was_killed_or_is_somebody_elses() -> None:
    """Only of the plugin's own tasks does silence mean a violent end."""
    alert = failed(replace(RUN, tasks=(FailedTask(task_id="load"), FailedTask(task_id="own", ours=False))), PAGES)
    assert "load:\n    The task ended without a word" in alert.text
    assert "own:\n    This task isn't one of the plugin's" in alert.text


def test_a_run_that_was_ended_says_by_what() -> None:
    """No task has failed when the run's own time is over."""
    alert = failed(replace(RUN, reason="timed_out", waiting=("validate", "load")), PAGES)
    assert alert.subject.endswith(" for 2026-11-22: timed out")
    assert "Not run as a result: validate, load." in alert.text


def test_the_links_lead_to_the_page_the_runbook_the_run_the_report_and_the_log() -> None:
    """Below the UI's own address, whatever its path, and with every name escaped."""
    alert = failed(replace(RUN, tasks=(replace(shard(2, "x"), step="fetch"),)), PAGES)
    report = "https://airflow.example.org/base/dags/daily%20%26%20co"
    run = f"{report}/runs/scheduled__2026-11-21T23%3A00%3A00%2B00%3A00"
    assert [line for line in alert.text.splitlines() if "https" in line] == [
        f"Log: {run}/tasks/fetch/mapped/2",
        f"Page: {run}/plugin/fanout-dag_run",
        f"Runbook: {run}/plugin/fanout-dag_run#failed-in-fetch",
        f"Run: {run}",
        f"Report: {report}/plugin/fanout-dag",
    ]


def test_without_airflows_own_address_there_is_no_link() -> None:
    """A link to somewhere else would be worse than none."""
    alert = failed(replace(RUN, tasks=(shard(2, "x"),)), Pages("", "daily"))
    assert not any(f"{label}:" in alert.text for label in ("Log", "Page", "Runbook", "Run", "Report"))
    assert "<a " not in alert.html


NOTED = FailureNote(task_id="t", map_index=-1, error="E", message="m")


@pytest.mark.parametrize(
    ("run", "section"),
    [
        *(
            (replace(RUN, tasks=(FailedTask(task_id="t", note=NOTED, step=s),)), f"failed-in-{s}")
            for s in STEPS.values()
        ),
        (replace(RUN, tasks=(FailedTask(task_id="t", step="load"),)), "the-task-ended-without-a-word"),
        (replace(RUN, tasks=(FailedTask(task_id="t", ours=False),)), "failed-in-another-task"),
        (replace(RUN, reason="timed_out"), "timed-out"),
        (RUN, "failed-in-another-task"),
    ],
)
def test_the_section_of_the_runbook_is_that_of_the_first_failure(run: FailedRun, section: str) -> None:
    """The plugin's page has each of them, as it has those of the other messages."""
    assert run.section == section
    assert {section, "good-again", "loaded-in-part", "late"} <= sections().keys()


def test_a_run_that_somebody_started_says_who_and_with_which_params() -> None:
    """One by its schedule doesn't."""
    alert = failed(replace(RUN, started=Started("manual", "ada", (("limit", "50"),))), PAGES)
    assert alert.text.splitlines()[2:4] == ["Started: by hand by ada", "Params: limit = 50"]
    assert "Started" not in failed(RUN, PAGES).text


def test_without_any_details_there_is_still_a_message() -> None:
    """Which run, and where to look."""
    alert = failed(FailedRun(run_id="r", as_of=None, zone=UTC, problem="It could not be read."), PAGES)
    assert alert.subject == "daily & co has failed for an unknown date"
    assert "It could not be read." in alert.text


def test_a_subject_fits_a_header() -> None:
    """One line, of a length that mail programs show."""
    alert = failed(replace(RUN, tasks=(FailedTask(task_id="t\n" * 200),)), PAGES)
    assert len(alert.subject) <= 180
    assert "\n" not in alert.subject
