"""A stranger's test: five real runs, whose page alone says what is going on and what to do; doing it helps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from harness.airflow import AirflowClient
from harness.numbers import numbers
from harness.service import DemoService
from tests.airflow_fixture import SharedAirflow
from tests.integration.own import OwnDag, OwnReports
from tests.integration.runs import HANG_S, Run
from tests.integration.window import SHOTS, log_in
from tests.page.browser import NARROW, WIDE, Browser

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.long]

FAIL, LACK = [*numbers(2_000)][40:68], [*numbers(2_000)][900:914]
# How each connection's API is at first.
APIS: dict[str, dict[str, Any]] = {
    "call_api": {"latency_ms": 400.0},
    "slow_api": {"latency_ms": 60.0, "limit_per_s": 50, "retry_after_s": 1},
    "down_api": {"latency_ms": 200.0},
    "gaps_api": {"latency_ms": 40.0, "fail": FAIL, "missing": LACK},
}
STRICT = {"$jsonSchema": {"properties": {"tel": {"bsonType": "int"}}}}


@dataclass(frozen=True)
class PageOfState:
    """What the page of a state says: the sentence, the texts below it, and the button with what it costs."""

    headline: str
    details: tuple[str, ...]
    button: str | None = None
    cost: str = ""


# As docs/page.md quotes them.
STATES = {
    "stranger_well": PageOfState(
        r"^Fetch is under way: [\d,]+ of 20,000 parameters are done\.$", ("About .* left", "nothing to do")
    ),
    "stranger_slowed": PageOfState(
        r"^The API slows fetch down: [\d,]+ of 20,000 parameters are done\.$",
        (r"It refused some requests, so at most [\d,]+ per second are sent\.", "nothing to do"),
    ),
    "stranger_outage": PageOfState(
        r"^Fetch waits: the API gives no answer \(.+\)\.$",
        ("Single requests test whether it is back", "It continues by itself; there is nothing to do"),
    ),
    "stranger_validate": PageOfState(
        r"^42 of 2,000 parameters have no valid result\.$",
        ("Nothing was loaded: MongoDB is unchanged", "http_error 500", "From the runbook: Failed in validate"),
        "Fetch the missing 42 again",
        r"^About \d+ requests",
    ),
    "stranger_load": PageOfState(
        r"^The 1,000 results are valid, but load could not write them to MongoDB\.$",
        ("validator", "First: ", "From the runbook: Failed in load"),
        "Load again",
        "^Nothing is requested",
    ),
}  # fmt: skip


@pytest.fixture
def apis() -> Iterator[dict[str, DemoService]]:
    """A service for each connection."""
    with ExitStack() as running:
        yield {
            name: running.enter_context(DemoService.start(subscribers=20_000, **settings))
            for name, settings in APIS.items()
        }


@pytest.fixture
def service(apis: dict[str, DemoService]) -> DemoService:
    """The one that answers well."""
    return apis["call_api"]


def test_the_page_alone_says_what_is_going_on_and_what_to_do(
    airflow: SharedAirflow,
    client: AirflowClient,
    own_reports: OwnReports,
    own_dag: OwnDag,
    apis: dict[str, DemoService],
    loaded: Database[dict[str, Any]],
    chromium: Browser,
) -> None:
    """A run goes well, is slowed, waits for its API, has failed in validate, in load; what the page advises helps."""
    for name in ("slow_api", "down_api", "gaps_api"):
        own_reports.connect(name, "http", apis[name].port)
    refusing = loaded.create_collection(own_reports.name("stranger_load"), validator=STRICT)
    runs = {name: Run.trigger(client, own_dag(name)) for name in STATES}
    log_in(chromium, airflow, "/")
    runs["stranger_outage"].fetching(400)
    apis["down_api"].set_faults(down=True)
    for name, expected in STATES.items():
        look_at(chromium, airflow, runs[name], name, expected)

    # What goes on needs nobody. What has failed is repaired as its page says.
    apis["down_api"].set_faults(down=False, latency_ms=5.0)
    apis["gaps_api"].set_faults(fail=[], missing=[])
    loaded.command("collMod", refusing.name, validator={})
    for name in ("stranger_validate", "stranger_load"):
        open_page(chromium, airflow, runs[name])
        chromium.click("button.main")
        says(chromium, rf"documents are in tests\.{own_reports.name(name)}\.$")
        runs[name].succeeded()
    runs["stranger_outage"].succeeded()
    counts = {name: loaded[own_reports.name(name)].count_documents({}) for name in STATES}
    assert counts == {"stranger_validate": 2_000, "stranger_load": 1_000, "stranger_outage": 6_000} | dict.fromkeys(
        ("stranger_well", "stranger_slowed"), 0
    )
    for name in ("stranger_well", "stranger_slowed"):
        assert runs[name].states["fetch"] == "running"
        client.mark(runs[name].dag_id, runs[name].run_id, "fetch", "failed")
        runs[name].ended()
        # Somebody has ended it: the task could say so, or not.
        open_page(chromium, airflow, runs[name])
        says(chromium, "^Fetch has failed")
        chromium.until("return /ended without a word|fetch was stopped/.test(document.body.innerText)")


def open_page(window: Browser, airflow: SharedAirflow, run: Run) -> None:
    """Open the page of a run, without Airflow around it."""
    window.open(f"{airflow.site.url}/fanout/page?dag_id={run.dag_id}&run_id={quote(run.run_id, safe='')}")


def says(window: Browser, headline: str) -> None:
    """Wait until the page's sentence is like this."""
    script = "return RegExp(arguments[0]).test(document.querySelector('.headline')?.innerText)"
    window.until(script, headline, timeout_s=HANG_S)


def look_at(window: Browser, airflow: SharedAirflow, run: Run, name: str, expected: PageOfState) -> None:
    """See the state as a stranger does: the sentence first, then what to do; in light and dark, wide and narrow."""
    for width in (WIDE, NARROW):
        for dark in (False, True):
            window.look(width=width, dark=dark)
            open_page(window, airflow, run)
            says(window, expected.headline)
            if expected.button:
                window.until(
                    "return document.querySelector('button.main')?.innerText === arguments[0]", expected.button
                )
                window.until(
                    "return RegExp(arguments[0]).test(document.querySelector('.act p')?.innerText)", expected.cost
                )
            for text in expected.details:
                window.until("return RegExp(arguments[0]).test(document.body.innerText)", text)
            window.until("return document.querySelectorAll('.plot svg').length === 3")
            assert window.run("return document.querySelectorAll('button.main').length") == (1 if expected.button else 0)
            assert window.run("return document.documentElement.scrollWidth") <= width
            window.screenshot(SHOTS / f"real-{name}-{width}-{'dark' if dark else 'light'}.png")
