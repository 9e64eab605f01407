"""Who sees what: every route of the page and its browser's side, by the roles of a real FAB auth manager."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.airflow.home import COMMAND
from tests.page.addresses import filled, routes
from tests.page.browser import WIDE, Browser
from tests.page.conftest import Prepared, log_in
from tests.page.people import READABLE_FOR_OUTSIDER, USERS

pytestmark = [pytest.mark.own_airflow, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
GRANT = "roles add-perms Viewer --resource Plugins --action can_read"
FORBIDDEN, FAILED = 403, "daily_call_report"
ABOUT_A_DAG, LISTS_PARAMETERS = "{dag_id}", "/missing"
# Which routes refuse a user, of a DAG that the outsider may not read.
REFUSED = {
    "admin": (),
    "viewer": (),
    "outsider": (ABOUT_A_DAG,),
    "nologs": (LISTS_PARAMETERS,),
    "noruns": (ABOUT_A_DAG,),
    "nothing": (ABOUT_A_DAG,),
}
# Which reports are listed for a user who doesn't see all: a row shows runs.
LISTED = {"outsider": {READABLE_FOR_OUTSIDER}, "noruns": set(), "nothing": set()}


def test_every_route_refuses_anonymous_callers(prepared: Prepared) -> None:
    """Each of the application's routes: 401 without a login or with a wrong one, 200 with one. There are no others."""
    nobody, admin = prepared.session(), prepared.session("admin")
    forger = prepared.session()
    forger.headers["Authorization"] = f"Bearer {prepared.token('admin')[:-4]}AAAA"
    assert len([path for path in routes() if ABOUT_A_DAG in path]) >= 4
    for path in routes():
        address = filled(path, prepared)
        assert nobody.get(address, timeout=60).status_code == 401, path
        assert forger.get(address, timeout=60).status_code in (401, 403), path
        answer = admin.get(address, timeout=60)
        assert answer.status_code == 200, path
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"], path
        assert "unsafe" not in answer.headers["Content-Security-Policy"], path
    for address in ("docs", "redoc", "openapi.json", "static/..%2Fapp.py", "static/nothing.js"):
        assert admin.get(f"{prepared.url}/fanout/{address}", timeout=60).status_code == 404, address


def listed(prepared: Prepared, user: str) -> set[str]:
    """Return the DAGs in a user's list of reports."""
    rows = prepared.session(user).get(f"{prepared.url}/fanout/data/reports", timeout=60).json()
    return {row["dag_id"] for row in rows}


@pytest.mark.parametrize("user", USERS)
def test_each_role_sees_what_it_may(user: str, prepared: Prepared) -> None:
    """By every route: 403 for what a role may not see, 200 for the rest; the list has the reports it may open."""
    session = prepared.session(user)
    for path in routes():
        status = session.get(filled(path, prepared, FAILED), timeout=60).status_code
        assert status == (FORBIDDEN if any(part in path for part in REFUSED[user]) else 200), path
    everything = listed(prepared, "admin")
    assert {FAILED, READABLE_FOR_OUTSIDER} < everything
    assert listed(prepared, user) == LISTED.get(user, everything)


def test_a_role_for_one_dag_opens_that_one_only(prepared: Prepared) -> None:
    """Its own DAG's routes let it in. Nothing else does: no other name for a DAG, and no DAG that isn't there."""
    outsider, data = prepared.session("outsider"), f"{prepared.url}/fanout/data"
    # This run has left no list, and the backfill is another DAG's.
    others = {409: LISTS_PARAMETERS, 404: "{backfill_id}"}
    for path in routes():
        own = path.replace(ABOUT_A_DAG, READABLE_FOR_OUTSIDER)
        expected = next((status for status, part in others.items() if part in path), 200)
        assert outsider.get(filled(own, prepared, READABLE_FOR_OUTSIDER), timeout=60).status_code == expected, path
    for address in (f"dags/{FAILED}?dag_id={READABLE_FOR_OUTSIDER}", "dags/nothing", "dags/nothing/runs/x/missing"):
        assert outsider.get(f"{data}/{address}", timeout=60).status_code == FORBIDDEN, address
    # Airflow's own word for all DAGs is no DAG here.
    for address in ("dags/~", "dags/~/runs/x", "dags/~/runs/x/missing"):
        assert outsider.get(f"{data}/{address}", timeout=60).status_code == 404, address


@pytest.mark.parametrize("user", ["admin", "viewer", "nologs"])
def test_the_button_and_the_list_are_for_those_who_may(user: str, chromium: Browser, prepared: Prepared) -> None:
    """The same sentence and runbook for all; who may not clear has no button, who may not read logs has no list."""
    log_in(chromium, prepared, user)
    chromium.look(width=WIDE, dark=False)
    chromium.open(prepared.run_address(FAILED))
    chromium.shows("42 of 20,000 parameters have no valid result.")
    chromium.shows("From the runbook: Failed in validate")
    chromium.shows("#500 {tel: …00}" if user != "nologs" else "if you may read this task's log")
    # The dry run has its answer.
    dry_run = "performance.getEntriesByType('resource').find(({name}) => name.endsWith('/clearTaskInstances'))"
    chromium.until(f"return {dry_run}?.responseEnd > 0 && performance.now() > {dry_run}.responseEnd + 500")
    assert chromium.run("return document.querySelectorAll('button.main').length") == (1 if user == "admin" else 0)
    lists = {"admin": 1, "viewer": 1, "nologs": 0}
    assert (
        chromium.run("return document.querySelectorAll('.tall table, .tools:not([hidden])').length") == 2 * lists[user]
    )


def test_who_may_not_see_a_dag_is_told_so(chromium: Browser, prepared: Prepared) -> None:
    """A sentence instead of the run, and whom to ask."""
    log_in(chromium, prepared, "outsider")
    chromium.open(prepared.run_address(FAILED))
    chromium.shows("You may not see this. Ask for read access to the DAG.")
    assert "42 of 20,000" not in chromium.text()
    assert chromium.axe() == []


def test_airflow_shows_the_tab_to_those_who_may_see_plugins(chromium: Browser, prepared: Prepared) -> None:
    """FAB's Viewer has none, until its role gets that right by the command of the documentation."""
    run_id = unquote(re.search("run_id=(.+)", prepared.run_address(FAILED))[1])  # type: ignore[index]
    run = f"/dags/{FAILED}/runs/{run_id}"
    tabs = f"document.querySelectorAll('a[href$=\"{run}/plugin/fanout-dag_run\"]').length"
    plugins = "performance.getEntriesByType('resource').some((each) => each.name.includes('/api/v2/plugins'))"
    by_form(chromium, prepared, "viewer")
    chromium.open(prepared.url + run)
    chromium.until(f"return {plugins} && document.querySelector('a[href$=\"{run}/details\"]')")
    assert chromium.run(f"return {tabs}") == 0
    chromium.open(f"{prepared.url}{run}/plugin/fanout-dag_run")
    chromium.shows("Page Not Found")
    assert f"airflow {GRANT}" in (ROOT / "docs" / "page.md").read_text()
    subprocess.run((*COMMAND, *GRANT.split()), env=prepared.env, check=True, stdout=subprocess.DEVNULL)
    chromium.open(prepared.url + run)
    chromium.until(f"return {tabs} === 1")
    chromium.click(f"a[href$='{run}/plugin/fanout-dag_run']")
    chromium.enter_frame("iframe")
    chromium.shows("42 of 20,000 parameters have no valid result.")
    chromium.leave_frame()


def by_form(window: Browser, prepared: Prepared, user: str) -> None:
    """Log in as people do, with FAB's form."""
    window.open(f"{prepared.url}/auth/logout")
    window.type("#username", user)
    window.type("#password", user)
    window.click("[type=submit]")
    window.until("return !location.pathname.startsWith('/auth/')")
