"""The page by keyboard alone, in a real Chromium: all of it is reached in order, is seen, and is left again."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from tests.page.backfills import DAG_ID
from tests.page.browser import HOME, NARROW, TAB, WIDE, Browser
from tests.page.conftest import Prepared, eventually
from tests.page.left import MISSING

pytestmark = [pytest.mark.own_airflow, pytest.mark.slow]

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
SHIFT, ENTER, SPACE = "\ue008", "\ue007", " "
PAGE_UP, END, LEFT, UP, RIGHT, DOWN = "\ue00e", "\ue010", "\ue012", "\ue013", "\ue014", "\ue015"
# Which elements a person can use, and what has the focus: its place among these, its outline, and whether it is seen.
USABLE = "a[href], button, input, summary, [tabindex='0']"
STOPS = f"[...document.querySelectorAll(`{USABLE}`)].filter((each) => each.tabIndex >= 0 && each.checkVisibility())"
FOCUS = f"""
const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
return {{
  place: {STOPS}.indexOf(it), name: it.getAttribute('aria-label') ?? it.innerText,
  outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
  seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
}};
"""
VIEWS = {
    "failed": ("run", "daily_call_report", "button.main"),
    "running": ("run", "invoice_lines", ".plot svg"),
    "shards": ("run", "subscriber_usage", "[aria-label=Shards]"),
    "hostile": ("run", "hostile", "button.main"),
    "report": ("report", DAG_ID, ".calendar a"),
    "backfill": ("backfill", DAG_ID, ".squares a"),
    "reports": ("reports", "", "tbody tr"),
}


def opened(window: Browser, prepared: Prepared, view: str) -> None:
    """Open a view, and wait until it is there."""
    kind, dag_id, sign = VIEWS[view]
    page = f"{prepared.url}/fanout/page"
    report = f"{page}?dag_id={dag_id}"
    addresses = {"report": report, "backfill": f"{report}&backfill_id=1", "reports": page}
    window.open(addresses[kind] if kind in addresses else prepared.run_address(dag_id))
    window.element(sign)
    if view == "failed":
        window.shows(f"1 to {MISSING} of {MISSING}.")


@pytest.mark.parametrize("view", VIEWS)
def test_tab_leads_through_the_whole_page(view: str, chromium: Browser, prepared: Prepared) -> None:
    """What can be used is met once, in the page's order, outlined and in the window; so it is on the way back."""
    chromium.look(width=WIDE, dark=False)
    opened(chromium, prepared, view)
    count = chromium.run(f"return {STOPS}.length")
    assert count >= 7
    there = []
    for _ in range(count):
        chromium.press(TAB)
        there.append(chromium.run(FOCUS))
    assert [stop["place"] for stop in there] == [*range(count)]
    assert [stop["name"] for stop in there if stop["outline"] < 2 or not stop["seen"]] == []
    back = []
    for _ in range(count - 1):
        chromium.press(TAB, SHIFT)
        back.append(chromium.run(FOCUS)["place"])
    assert back == [*reversed(range(count - 1))]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_with_all_of_it_open(view: str, chromium: Browser, prepared: Prepared) -> None:
    """Light and dark, wide and narrow, with the runbook open and a plot being read."""
    for width in (WIDE, NARROW):
        for dark in (False, True):
            chromium.look(width=width, dark=dark)
            opened(chromium, prepared, view)
            chromium.run("for (const each of document.querySelectorAll('details')) each.open = true")
            if plots := chromium.run("return document.querySelectorAll('.plot[role=slider]').length"):
                chromium.tab_to(".plot[role=slider]")
                chromium.press(LEFT)
            assert chromium.axe() == []
            assert chromium.run("return document.documentElement.scrollWidth") <= width
            assert plots >= (0 if view in ("reports", "hostile", "backfill") else 3)
    chromium.look(width=WIDE, dark=False)


def test_a_failed_run_is_looked_into(chromium: Browser, prepared: Prepared, tmp_path: Path) -> None:
    """The runbook opens, the search finds, and what it has found is downloaded."""
    opened(chromium, prepared, "failed")
    chromium.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    chromium.tab_to("summary")
    chromium.press(SPACE)
    chromium.shows("Everything was tried. Results are missing, or a check failed.")
    chromium.tab_to("input[type=search]")
    for key in "timeout":
        chromium.press(key)
    chromium.shows("1 to 14 of 14.")
    chromium.tab_to("a[download]")
    chromium.press(ENTER)
    rows = eventually(lambda: (tmp_path / "missing.csv").exists() and (tmp_path / "missing.csv").read_text())
    assert len([*csv.DictReader(rows.splitlines())]) == 14


def test_the_button_is_pressed_and_says_so(chromium: Browser, prepared: Prepared) -> None:
    """Load and nothing else is to run again, the page says what comes next, and Tab goes on from there."""
    chromium.open(prepared.run_address("payment_terms"))
    chromium.tab_to("button.main")
    assert "Nothing is requested." in chromium.run("return document.querySelector('.act [role=status]').innerText")
    chromium.press(ENTER)
    chromium.shows("Load has not begun yet.")
    chromium.until("return document.querySelector('#news[role=status]').innerText.includes('Load has not begun yet.')")
    assert chromium.run("return document.activeElement.contains(document.querySelector('.says'))")
    chromium.press(TAB)
    assert chromium.run("return document.activeElement.innerText") == "extract"
    run_id = re.search("run_id=(.+)", prepared.run_address("payment_terms"))[1]  # type: ignore[index]
    runs = f"{prepared.url}/api/v2/dags/payment_terms/dagRuns/{quote(run_id, safe='%')}"
    tasks = prepared.session("admin").get(f"{runs}/taskInstances", timeout=60).json()["task_instances"]
    states = {task["task_id"]: task["state"] for task in tasks}
    assert states == {"extract": "success", "fetch": "success", "validate": "success", "load": None}


def test_days_are_walked_by_arrow_keys(chromium: Browser, prepared: Prepared) -> None:
    """The newest first; up and down by a day, left and right by a week, and Enter leads to the day's run."""
    opened(chromium, prepared, "report")
    chromium.tab_to(".calendar a")
    label = "return document.activeElement.getAttribute('aria-label')"
    days = chromium.run("return [...document.querySelectorAll('.calendar a')].map((day) => day.ariaLabel)")
    assert chromium.run(label) == days[-1]
    chromium.screenshot(SHOTS / "keyboard-day.png", whole=False)
    walked = []
    for key in (UP, LEFT, RIGHT, DOWN, RIGHT, HOME, LEFT, UP, DOWN, END):
        chromium.press(key)
        walked.append(days.index(chromium.run(label)) - len(days))
    assert walked == [-2, -9, -2, -1, -1, -365, -365, -365, -364, -1]
    opened(chromium, prepared, "backfill")
    chromium.tab_to(".squares a")
    nights = chromium.run("return [...document.querySelectorAll('.squares a')].map((day) => day.ariaLabel)")
    for key, place in ((LEFT, -2), (UP, -3), (RIGHT, -2), (HOME, 0), (END, -1)):
        chromium.press(key)
        assert chromium.run(label) == nights[place]
    opened(chromium, prepared, "report")
    chromium.tab_to(".calendar a")
    chromium.press(LEFT)
    chromium.press(ENTER)
    chromium.until("return document.querySelector('h1')?.innerText.includes(arguments[0])", days[-8].partition(":")[0])


def test_plots_are_read_by_arrow_keys(chromium: Browser, prepared: Prepared) -> None:
    """The value at each place, in words and in sight."""
    opened(chromium, prepared, "failed")
    plot = ".plot[aria-label=Latency]"
    chromium.tab_to(plot)
    value = "return document.activeElement.getAttribute('aria-valuetext')"
    assert re.fullmatch(r"after 118 s: p50 \d+ ms, p95 \d+ ms", chromium.run(value))
    assert chromium.run(f"return document.querySelector('{plot} .reading').innerText") == chromium.run(value)
    read = []
    for key in (LEFT, RIGHT, RIGHT, HOME, PAGE_UP):
        chromium.press(key)
        read.append(chromium.run("return document.activeElement.getAttribute('aria-valuenow')"))
    assert read == ["116", "117", "117", "0", "10"]
    assert re.fullmatch(r"after 11 s: p50 \d+ ms, p95 \d+ ms", chromium.run(value))
    chromium.screenshot(SHOTS / "keyboard-plot.png", whole=False)


def test_what_has_the_focus_keeps_it_while_a_run_goes_on(chromium: Browser, prepared: Prepared) -> None:
    """A step that runs is drawn again each second: its link is another one then, and still the one that Enter opens."""
    opened(chromium, prepared, "running")
    chromium.tab_to(".step.running a")
    for _ in range(2):
        chromium.run("document.activeElement.classList.add('old')")
        chromium.until("return !document.querySelector('.step.running a').classList.contains('old')")
        assert chromium.run("return document.activeElement.matches('.step.running a')")


def test_the_tab_of_a_run_is_reached_within_airflow(chromium: Browser, prepared: Prepared) -> None:
    """From Airflow's own page of the run to the tab, into the frame, through it, and back out."""
    run_id = unquote(re.search("run_id=(.+)", prepared.run_address("daily_call_report"))[1])  # type: ignore[index]
    chromium.open(f"{prepared.url}/dags/daily_call_report/runs/{run_id}")
    chromium.tab_to("a[href$='/plugin/fanout-dag_run']", most=150)
    chromium.press(ENTER)
    chromium.enter_frame("iframe")
    chromium.shows("42 of 20,000 parameters have no valid result.")
    chromium.leave_frame()
    chromium.tab_to("iframe", most=150)
    chromium.enter_frame("iframe")
    chromium.tab_to("summary")
    count = chromium.run(f"return {STOPS}.length")
    for _ in range(count):
        chromium.press(TAB, SHIFT)
    chromium.leave_frame()
    assert not chromium.run("return document.activeElement.matches('iframe')")
