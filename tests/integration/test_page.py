"""A run in Airflow's own UI, in a real Chromium: as it goes on, through an outage, after it has failed, repaired."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.airflow import Airflow, AirflowClient, AirflowHome
from harness.airflow.connections import mongo_connection
from harness.numbers import numbers
from harness.service import DemoService
from tests.airflow_fixture import AddDag, SharedAirflow
from tests.integration.own import OwnReports
from tests.integration.runs import Run
from tests.integration.window import log_in, picture
from tests.page.browser import HOME, Browser
from tests.shared import PLUGINS

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

COUNT = 20_000
MISSING = [*numbers(COUNT)][100 : 100 + 42 * 400 : 400]
SOURCE = f"""
from datetime import datetime

from airflow.sdk import DAG
from harness.numbers import numbers

from airflow_fanout import FanoutTaskGroup, Request, Throttle

def everybody():
    return numbers({COUNT})

with DAG("watched", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    FanoutTaskGroup(
        "calls",
        prefix_group_id=False,
        extract={{"source": everybody, "names": ("tel",)}},
        fetch={{
            "request": Request(endpoint="/calls/{{tel}}", query={{"day": "2026-11-20"}}, result="calls"),
            "http_conn_id": "call_api",
            "concurrency": 60,
            "throttle": Throttle(rate_per_s=500),
        }},
        load={{"database": "tests", "collection": "watched", "key": ("tel",)}},
    )
"""


@pytest.fixture(params=["below a path", pytest.param("at the root", marks=pytest.mark.long)])
def airflow(request: pytest.FixtureRequest, tmp_path: Path, mongo_uri: str) -> Iterator[SharedAirflow]:
    """The shared Airflow, which is below a path; or one of the test's own at the root."""
    if request.param == "below a path":
        yield request.getfixturevalue("airflow")
        return
    connections = {"mongo_default": mongo_connection(mongo_uri)}
    home = AirflowHome(directory=tmp_path / "home", dags=tmp_path / "dags", plugins=PLUGINS, connections=connections)
    home.dags.mkdir()
    with Airflow(home) as own:
        yield SharedAirflow(own.site, check=own.check)


@pytest.fixture
def service() -> Iterator[DemoService]:
    """A service with as many subscribers, some of whom are missing at first."""
    with DemoService.start(subscribers=COUNT, latency_ms=40.0, missing=MISSING) as running:
        yield running


def test_a_run_is_watched_and_repaired(
    airflow: SharedAirflow,
    client: AirflowClient,
    own_reports: OwnReports,
    add_dag: AddDag,
    service: DemoService,
    chromium: Browser,
) -> None:
    """The bar moves, an outage is told and passes, validate fails for 42, one click fetches exactly these."""
    dag_id = own_reports.name("watched")
    add_dag(dag_id, SOURCE.replace('"watched"', f'"{dag_id}"'))
    run = Run.trigger(client, dag_id)
    log_in(chromium, airflow, f"/dags/{dag_id}/runs/{run.run_id}/plugin/fanout-dag_run")
    chromium.enter_frame("iframe")
    watch_it_go_on(chromium, service)
    assert run.ended() == "failed"
    repair(chromium, service)
    assert run.ended() == "success"
    # A link in the frame leads Airflow itself to the report's page.
    chromium.click("nav.trail a:last-child")
    chromium.leave_frame()
    chromium.until(f"return location.pathname === '{airflow.home.path}/dags/{dag_id}/plugin/fanout-dag'")
    chromium.enter_frame("iframe")
    chromium.shows("The last run")
    assert chromium.run("return document.querySelector('tbody .badge').innerText") == "success"
    picture(chromium, "airflow-report")


def watch_it_go_on(window: Browser, service: DemoService) -> None:
    """See the bar move, then an outage, its end, and the failure of validate with its list."""
    bar = "document.querySelector('[role=progressbar]')?.getAttribute('aria-valuenow')"
    window.until(f"window.seen ??= new Set(); window.seen.add({bar}); return window.seen.size > 6")
    read_by_keyboard(window)
    # The rate is the report's own, and no refusal of the API's.
    window.shows("Fetch is under way: ")
    picture(window, "airflow-running")
    service.set_faults(down=True)
    window.until("return /Fetch waits: .*no answer/.test(document.body.innerText)")
    picture(window, "airflow-outage")
    service.restore_faults()
    window.shows("42 of 20,000 parameters have no valid result.")
    assert window.until("return document.querySelector('.tall tbody')?.rows.length") == len(MISSING)
    picture(window, "airflow-failed")


def read_by_keyboard(window: Browser) -> None:
    """Read the first moment of a plot, which is drawn again each second and keeps the focus and its place."""
    plot = ".plot[aria-label='Done per second']"
    window.tab_to(plot)
    window.press(HOME)
    last = f"document.querySelector(`{plot}`)?.getAttribute('aria-valuemax')"
    window.until(f"window.ends ??= new Set(); window.ends.add({last}); return window.ends.size > 3")
    assert window.run("return document.activeElement.matches(arguments[0])", plot)
    assert window.run("return document.activeElement.getAttribute('aria-valuenow')") == "0"


def repair(window: Browser, service: DemoService) -> None:
    """Press the button, and count what was requested because of it."""
    service.set_faults(missing=[])
    before = service.asked()
    window.click("button.main")
    window.shows("20,000 documents are in tests.watched")
    picture(window, "airflow-repaired")
    now = service.asked()
    assert {tel for tel in now if now[tel] != before.get(tel, 0)} == {*MISSING}
