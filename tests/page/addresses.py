"""The addresses of the page, from its application itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

from tests.page import backfills

if TYPE_CHECKING:
    from tests.page.conftest import Prepared


def routes() -> list[str]:
    """Return the addresses of all routes of the page's application; they only read."""
    from airflow_fanout.page.app import application

    known = [route for route in application().routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]
    assert all(route.methods == {"GET"} for route in known)
    return [route.path for route in known]


def filled(path: str, prepared: Prepared, dag_id: str = "daily_call_report") -> str:
    """Return a route's address with values for its fields."""
    run_id = re.search("run_id=(.+)", prepared.run_address(dag_id))
    assert run_id
    values = {"dag_id": dag_id, "run_id": run_id[1], "name": "page.css", "section": "failed-in-load"}
    if "{backfill_id}" in path:
        values |= {"dag_id": backfills.DAG_ID, "backfill_id": "1"}
    return f"{prepared.url}/fanout{re.sub('{([a-z_]+)}', lambda field: values[field[1]], path)}"
