"""Each kind of mail in a real Chromium: in light and dark, on a phone and in a mail program's pane."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from airflow_fanout.alerts.failed import FailedRun, FailedTask, failed
from airflow_fanout.alerts.late import LateRun, late
from airflow_fanout.alerts.message import Alert, Pages
from airflow_fanout.alerts.note import Counts, FailureNote
from airflow_fanout.alerts.recovered import Effort, recovered
from airflow_fanout.alerts.started import Started
from airflow_fanout.launch.errors import Tripped
from airflow_fanout.staging.live import Live, ProgressSnapshot
from airflow_fanout.staging.open_failures import OpenFailure, ReportRun
from tests.page import browser as browsers
from tests.page.browser import NARROW, Browser
from tests.page.left import HOSTILE

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PANE = 700
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 7, 0, 2, tzinfo=UTC)
PAGES = Pages("https://airflow.example.org", "daily_call_report")
RUN = FailedRun(
    run_id="scheduled__2026-11-21T23:00:00+00:00", as_of=datetime(2026, 11, 21, 23, tzinfo=UTC), zone=BERLIN,
    waiting=("load",),
)  # fmt: skip
NOT_VALID = """50 of 2,000 parameters have no valid result. Nothing was loaded.
  37 × invalid JSONDecodeError
      #17 {tel: …43}: JSONDecodeError: The answer is no JSON: it begins with an unexpected sign (2,311 bytes)
      #62 {tel: …11}: JSONDecodeError: The answer is no JSON: it begins with an unexpected sign (2,311 bytes)
  12 × http_error 500 HTTPError
      #652 {tel: …52}: HTTPError: HTTP 500 Internal Server Error after 5 attempts
  1 × timeout ReadTimeout
      #1984 {tel: …03}: ReadTimeout: no answer for 30 s after 5 attempts
To request only these 50 again, clear fetch with its downstream tasks."""
DENIED = "Put the current credential into the connection 'call_api'"
GOING = ProgressSnapshot(at=NOW, total=20_000, done=6_460, ok=6_460, rate_per_s=160.0)
DEFERRED = replace(
    GOING, rate_per_s=0.0, waits_for="the renewal of the quota, 10,000 requests per day (Europe/Berlin)",
    deferred_until=NOW + timedelta(hours=16),
)  # fmt: skip
LATE = LateRun(
    run_id=RUN.run_id, as_of=RUN.as_of, due=NOW, zone=BERLIN, state="running",
    reports=[Live(step="fetch", total=20_000, glimpses=(GOING,))],
)  # fmt: skip


def failing(task_id: str, error: str, message: str, started: Started, **causes: int) -> Alert:
    """Return the message about a run of which one task has failed."""
    counts = Counts(total=2_000, causes=causes)
    note = FailureNote(task_id=task_id, map_index=-1, error=error, message=message, counts=counts)
    task = FailedTask(task_id=task_id, note=note, step=task_id)
    return failed(replace(RUN, tasks=(task,), started=started), PAGES)


def canary() -> Alert:
    """Return the message about a fetch whose first parameters have all failed."""
    error = Tripped(sample=50, failed=50, of_cause=50, cause="HTTP 401", fix=DENIED, total=2_000, begun=50, under_way=0,
                    transient=False)  # fmt: skip
    return failing("fetch", "Tripped", str(error), Started(), http_error=50, not_tried=1_950)


def good_again() -> Alert:
    """Return the message about a report that has recovered, and of which another day is still missing."""
    dates = [datetime(2026, 11, day, 23, tzinfo=UTC) for day in (20, 21)]
    run = ReportRun(run_id=RUN.run_id, as_of=dates[1], made_by="scheduled", started=NOW)
    since = NOW - timedelta(hours=3)
    failures = [
        OpenFailure(run_id=f"scheduled__{date.isoformat()}", as_of=date, made_by="scheduled", since=since)
        for date in dates
    ]
    effort = Effort(ended=NOW, cleared=1, requests=53, parameters=50, seconds=12.0, documents=2_000)
    return recovered(run, failures, BERLIN, PAGES, effort)


def mails() -> dict[str, Alert]:
    """Return one of each kind."""
    by_hand = Started("manual", "maria", (("day", "2026-11-22"), ("only", "2 values"), ("api_key", "…")))
    hostile = Started("manual", HOSTILE[:120], ((HOSTILE[:60], HOSTILE[90:150]),))
    counted = {"invalid JSONDecodeError": 37, "http_error 500 HTTPError": 12, "timeout ReadTimeout": 1}
    account = f"{HOSTILE[:6_000]}\n  3 × {HOSTILE[:2_000]}\n      {HOSTILE[:2_000]}"
    return {
        "failed": failing("validate", "ValidationFailed", NOT_VALID, by_hand, **counted),
        "canary": canary(),
        "late": late(LATE, PAGES, NOW),
        "deferred": late(
            replace(LATE, reports=[Live(step="fetch", total=20_000, glimpses=(DEFERRED,))]), PAGES, NOW
        ),
        "recovered": good_again(),
        "hostile": failing("validate", HOSTILE[:200], account, hostile, **{HOSTILE[:300]: 3}),
    }  # fmt: skip


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    """A window."""
    with browsers.browser(tmp_path) as window:
        yield window


def test_every_mail_fits_and_can_be_read(chromium: Browser, tmp_path: Path) -> None:
    """Nothing is wider than the window, nothing runs, and axe-core finds nothing serious; the pictures are kept."""
    for name, alert in mails().items():
        file = tmp_path / f"{name}.html"
        file.write_text(alert.html)
        for width in (PANE, NARROW):
            for dark in (False, True):
                chromium.look(width=width, dark=dark)
                chromium.open(file.as_uri())
                assert chromium.run("return document.documentElement.scrollWidth") <= width, name
                # Its own dark, and no other one that a browser makes of it.
                ground = chromium.run("return getComputedStyle(document.body).backgroundColor")
                assert ground == ("rgb(14, 17, 22)" if dark else "rgb(241, 243, 246)")
                chromium.screenshot(SHOTS / f"mail-{name}-{width}-{'dark' if dark else 'light'}.png")
                assert width == NARROW or chromium.axe() == [], name
        assert chromium.run("return document.title") == alert.subject
        assert chromium.run("return document.querySelectorAll('script, img').length") == 0
