"""Airflow's UI in a browser: a login as people do it, and pictures of what the window shows."""

from __future__ import annotations

from pathlib import Path

from tests.airflow_fixture import SharedAirflow
from tests.page.browser import WIDE, Browser

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"


def log_in(window: Browser, airflow: SharedAirflow, path: str) -> None:
    """Log in as people do, and go to a page of Airflow's."""
    window.look(width=WIDE, dark=False)
    window.open(airflow.site.url + path)
    window.type("input[name=username]", "admin")
    window.type("input[name=password]", airflow.site.logins["admin"])
    window.click("button[type=submit]")
    window.until("return !location.pathname.includes('/auth/')")
    window.open(airflow.site.url + path)


def picture(window: Browser, name: str) -> None:
    """Write what the window shows, Airflow around it, in light and dark."""
    for dark in (False, True):
        window.look(width=WIDE, dark=dark, height=1000)
        window.screenshot(SHOTS / f"{name}-{'dark' if dark else 'light'}.png", whole=False)
    window.look(width=WIDE, dark=False)
