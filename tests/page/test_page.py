"""The page in a real API server, and in a real Chromium: who sees what, and what it looks like."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from airflow_fanout.alerts.message import Pages
from tests.page.addresses import filled
from tests.page.backfills import DAG_ID
from tests.page.browser import NARROW, WIDE, Browser
from tests.page.conftest import Prepared
from tests.page.left import MISSING

pytestmark = [pytest.mark.own_airflow, pytest.mark.slow]

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
LOOKS = [(width, dark) for width in (WIDE, NARROW) for dark in (False, True)]
# The states of a stranger's test: by its report, what the page says, and which button it has.
STATES = {
    "invoice_lines": ("Fetch is under way: 8,412 of 20,000 parameters are done.", None),
    "tariff_changes": ("The API slows fetch down: 5,101 of 20,000 parameters are done.", None),
    "meter_readings": ("Fetch waits: the API gives no answer (connection refused).", None),
    "daily_call_report": ("42 of 20,000 parameters have no valid result.", "Fetch the missing 42 again"),
    "account_balances": ("The 8,200 results are valid, but load could not write them to MongoDB.", "Load again"),
}
# Rarer ones: the sentence, what the page says besides, and the button.
RARE = {
    "rare_queued": ("The run has not begun its first step.", "It is queued", None),
    "rare_older": ("The run has succeeded, without any task", "It may be older", None),
    "rare_retry": ("Fetch is tried again soon: try 1 of 1 has failed.", "gave no answer for 300 s", None),
    "rare_deferred": ("Fetch is deferred: the renewal of the quota, 12,000", "It continues by itself in", None),
    "rare_silent": ("Fetch has failed.", "ended without a word", "Run fetch again"),
    "rare_extract": ("There is no list, so nothing was requested.", "that day hasn't ended", "Read the list again"),
    "rare_fetch": ("Fetch has failed: 1,481 of 2,000", "440 of them with HTTP 401", "Fetch the missing 1,481 again"),
    "rare_partial": ("19,995 documents are loaded, and 5 parameters are left out.", "requests these first", None),
    "rare_hundred": ("Fetch has failed in 1 of 100 shards", "The other shards go on.", None),
}


def test_what_is_not_there_is_said_so(prepared: Prepared) -> None:
    """A DAG, a run, a section: 404. A DAG without a report has none."""
    session, data = prepared.session("admin"), f"{prepared.url}/fanout/data"
    for address in ("dags/nothing", "dags/nothing/runs/x", "dags/hostile/runs/x", "runbook/nothing"):
        assert session.get(f"{data}/{address}", timeout=60).status_code == 404, address
    assert session.get(f"{data}/dags/no_report", timeout=60).json()["reports"] == []


def test_the_parameters_that_failed_are_listed(prepared: Prepared) -> None:
    """All of them, masked, searched by the server, and as CSV; a list elsewhere on the disk isn't read."""
    session = prepared.session("admin")
    address = filled("/data/dags/{dag_id}/runs/{run_id}/missing", prepared)
    listed = session.get(address, timeout=60).json()
    assert (listed["total"], len(listed["rows"])) == (MISSING, MISSING)
    assert {row["parameter"] for row in listed["rows"]} == {"{tel: …00}", "{tel: …99}"}
    assert "1202555" not in str(listed)
    late = session.get(address, params={"search": "TIMEOUT", "offset": 10}, timeout=60).json()
    assert (late["total"], len(late["rows"])) == (14, 4)
    lines = session.get(f"{address}.csv", timeout=60).text.splitlines()
    assert len(lines) == MISSING + 1
    elsewhere = session.get(filled("/data/dags/{dag_id}/runs/{run_id}/missing", prepared, "hostile"), timeout=60)
    assert elsewhere.status_code == 409


def test_a_year_of_runs_costs_a_constant_number_of_statements(prepared: Prepared) -> None:
    """365 runs of eight shards, or 40 of one: as many statements; so is one run with eight shards, or one."""
    session = prepared.session("admin")
    year = session.get(f"{prepared.url}/fanout/data/dags/subscriber_usage", timeout=60).json()
    [report] = year["reports"]
    assert len(report["runs"]) == 365
    assert sum(run["state"] == "failed" for run in report["runs"]) == 6
    assert all(run["requests"] for run in report["runs"][:-1])
    counts = prepared.statements("subscriber_usage", "invoice_lines")
    assert counts["subscriber_usage"] == {**counts["invoice_lines"], "backfill": 7}
    assert counts["invoice_lines"] == {"run": 8, "report": 9}


def test_a_backfill_has_its_days(prepared: Prepared) -> None:
    """From, to, by whom, and each day with its state and its run: of a skipped one, the run that was there."""
    session, data = prepared.session("admin"), f"{prepared.url}/fanout/data/dags"
    [listed] = session.get(f"{data}/{DAG_ID}", timeout=60).json()["backfills"]
    assert (listed["by"], listed["days"]) == ("maria", {"success": 3, "skipped": 1})
    backfill = session.get(f"{data}/{DAG_ID}/backfills/{listed['id']}", timeout=60).json()
    assert [(day["state"], day["reason"]) for day in backfill["days"]] == [
        *[("success", None)] * 3,
        ("skipped", "already exists"),
    ]
    assert [day["run_id"].partition("__")[0] for day in backfill["days"]] == ["backfill"] * 3 + ["scheduled"]
    assert [day["day"] for day in backfill["days"]] == [run["day"] for run in backfill["reports"][0]["runs"]]
    assert all(run["documents"] for run in backfill["reports"][0]["runs"])
    assert (backfill["begin"], backfill["end"]) == (backfill["days"][0]["day"], backfill["days"][-1]["day"])
    for address in (f"{DAG_ID}/backfills/999", f"invoice_lines/backfills/{listed['id']}"):
        assert session.get(f"{data}/{address}", timeout=60).status_code == 404


def test_a_deadline_that_has_passed_is_late(prepared: Prepared) -> None:
    """Of a run that goes on, and of one that should have begun."""
    session, data = prepared.session("admin"), f"{prepared.url}/fanout/data"
    rows = session.get(f"{data}/reports", timeout=60).json()
    late = {row["dag_id"]: row["late"] for row in rows if row["late"]}
    assert {dag_id: each["missed"] for dag_id, each in late.items()} == dict.fromkeys(late, "deadline")
    assert late.keys() == {"meter_readings", "hostile"}
    # The day's run was due at midnight.
    assert late["hostile"]["since"][11:16] == "00:01"
    assert session.get(f"{data}/dags/meter_readings", timeout=60).json()["late"] == late["meter_readings"]


def test_the_list_of_a_team_is_where_its_team_has_it(prepared: Prepared) -> None:
    """In an object storage whose connection is in Airflow's database, and whose path has the team's name."""
    address = filled("/data/dags/{dag_id}/runs/{run_id}/missing", prepared, "invoice_lines")
    listed = prepared.session("admin").get(address, params={"offset": 40}, timeout=60).json()
    assert (listed["total"], len(listed["rows"])) == (MISSING, 2)


@pytest.mark.parametrize("dag_id", STATES)
def test_a_state_is_told_by_the_page_alone(dag_id: str, chromium: Browser, prepared: Prepared) -> None:
    """A sentence, and at most one button; nothing is wider than the window, and axe-core finds nothing serious."""
    sentence, button = STATES[dag_id]
    for width, dark in LOOKS:
        chromium.look(width=width, dark=dark)
        chromium.open(prepared.run_address(dag_id))
        chromium.shows(sentence)
        chromium.until("return document.querySelectorAll('.plot svg').length === 3")
        if button:
            chromium.until("return document.querySelector('button.main')?.innerText === arguments[0]", button)
        assert chromium.run("return document.documentElement.scrollWidth") <= width
        assert chromium.axe() == []
        chromium.screenshot(SHOTS / f"{dag_id}-{width}-{'dark' if dark else 'light'}.png")
    assert chromium.run("return document.querySelectorAll('button.main').length") == (1 if button else 0)
    assert quiet(chromium)


def test_a_rare_state_is_told_too(chromium: Browser, prepared: Prepared) -> None:
    """Nothing has begun, or nobody knows why it ended: there is a sentence, and at most one button."""
    for dag_id, (sentence, besides, button) in RARE.items():
        chromium.look(width=WIDE, dark=False)
        chromium.open(prepared.run_address(dag_id))
        chromium.shows(sentence)
        chromium.shows(besides)
        if button:
            chromium.until("return document.querySelector('button.main')?.innerText === arguments[0]", button)
        assert chromium.run("return document.querySelectorAll('button.main').length") == (1 if button else 0)
        both_widths(chromium, dag_id)
    # Where a list isn't in the staging area, a browser complains of the refusal.
    chromium.log()


def both_widths(window: Browser, name: str) -> None:
    """Look at a page that is there, wide and light, then narrow and dark: nothing is wider than the window."""
    for width, dark in ((WIDE, False), (NARROW, True)):
        window.look(width=width, dark=dark)
        window.until("return innerWidth === arguments[0]", width)
        assert window.run("return document.documentElement.scrollWidth") <= width, name
        window.screenshot(SHOTS / f"{name}-{width}-{'dark' if dark else 'light'}.png")


@pytest.mark.parametrize("name", ["all-reports", "report", "backfill"])
def test_reports_over_time(name: str, chromium: Browser, prepared: Prepared) -> None:
    """The list of reports leads to one; its days lead to runs, and so do those of a backfill."""
    queries = {"all-reports": "", "report": f"?dag_id={DAG_ID}", "backfill": f"?dag_id={DAG_ID}&backfill_id=1"}
    for width, dark in LOOKS:
        chromium.look(width=width, dark=dark)
        chromium.open(f"{prepared.url}/fanout/page{queries[name]}")
        chromium.until("return document.querySelectorAll('tbody tr').length >= 4")
        assert chromium.run("return document.documentElement.scrollWidth") <= width
        assert chromium.axe() == []
        chromium.screenshot(SHOTS / f"{name}-{width}-{'dark' if dark else 'light'}.png")
    assert chromium.run("return document.querySelectorAll('.badge.late').length") == (2 if name == "all-reports" else 0)
    if name == "report":
        marks = [
            f"return document.querySelectorAll('circle.{mark}').length" for mark in ("failed", "manual", "backfill")
        ]
        assert [chromium.run(mark) for mark in marks] == [1, 1, 3]
        assert chromium.run("return document.querySelectorAll('.calendar a').length") == 365
    if name == "backfill":
        assert chromium.run("return document.querySelectorAll('.squares a.success').length") == 3
        chromium.shows("already exists")
        chromium.shows("by maria")
    chromium.click("tbody tr:last-child td a")
    chromium.until("return document.querySelector('.says, .calendar')")
    assert quiet(chromium)


@pytest.mark.parametrize("view", ["hostile", "hostile_waiting", "report", "reports"])
def test_hostile_text_stays_text(view: str, chromium: Browser, prepared: Prepared) -> None:
    """Markup, 10,000 characters, right-to-left: nothing runs, no element comes of it, and it stays narrow."""
    is_run, page = view.startswith("hostile"), f"{prepared.url}/fanout/page"
    over_time = f"{page}?dag_id=hostile" if view == "report" else page
    address = prepared.run_address(view) if is_run else over_time
    chromium.open(address)
    chromium.shows("<script>document.title='owned'</script>" if is_run else "hostile")
    chromium.until("return document.querySelector('.funnel, tbody')")
    both_widths(chromium, view if is_run else f"hostile_{view}")
    assert chromium.run("return document.querySelectorAll('main script, main img').length") == 0
    assert "owned" not in str(chromium.run("return document.title"))
    # Nowhere are all 10,000 characters drawn: those would be more than a hundred lines.
    assert chromium.run("return document.documentElement.scrollHeight") < 3_600
    if view == "hostile":
        # All of a long text is there for whoever opens it.
        chromium.click("details.long summary")
        assert chromium.run("return document.querySelector('details.long').innerText").count("x") > 60
    chromium.log()


def test_a_running_page_asks_once_a_second_while_somebody_looks(chromium: Browser, prepared: Prepared) -> None:
    """Whatever the number of shards; a hidden one asks nothing, and neither does that of a run that is over."""
    chromium.open(prepared.run_address("subscriber_usage"))
    asked = "performance.getEntriesByType('resource').filter(({name}) => name.includes('/data/dags/'))"
    chromium.until(f"return {asked}.length >= 5")
    begun = chromium.run(f"return {asked}.map(({{startTime}}) => startTime)")
    assert min(later - earlier for earlier, later in pairwise(begun)) > 900
    hide = "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})"
    chromium.run(f"{hide}; document.dispatchEvent(new Event('visibilitychange'))")
    # What was on its way comes back; then nothing more.
    chromium.until(f"window.last ??= 0; const now = {asked}.length, same = now === window.last; window.last = now; "
                   "window.rest = same ? (window.rest ?? 0) + 1 : 0; return window.rest > 25")  # fmt: skip
    chromium.open(prepared.run_address("account_balances"))
    chromium.shows("Load again")
    chromium.until(f"window.looks = (window.looks ?? 0) + 1; return {asked}.length === 1 && window.looks > 25")


def test_the_runbook_link_of_an_alert_opens_its_section(chromium: Browser, prepared: Prepared) -> None:
    """Within Airflow, whose address has the section, on top of the run's own page."""
    run_id = unquote(re.search("run_id=(.+)", prepared.run_address("daily_call_report"))[1])  # type: ignore[index]
    chromium.open(Pages(prepared.url, "daily_call_report").runbook(run_id, "good-again"))
    chromium.enter_frame("iframe")
    chromium.shows("From the runbook: Good again")
    chromium.shows("which days are still missing")
    chromium.shows("42 of 20,000 parameters have no valid result.")
    chromium.leave_frame()


def quiet(window: Browser) -> bool:
    """Return whether the browser had nothing to complain of: no error, nothing that the policy has blocked."""
    complaints = [entry["message"] for entry in window.log() if entry["level"] == "SEVERE"]
    return complaints == [] or pytest.fail(f"{complaints}")
