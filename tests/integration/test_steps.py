"""Reports whose parameters need several requests each, in Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from harness.service import DemoService
from harness.service.invoices import INVOICES, PAGES
from tests.integration.own import OwnDag
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

CUSTOMERS = 19


def test_pages_and_jobs(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, loaded: Database[dict[str, Any]]
) -> None:
    """All pages of a customer are one document, and so is what a job has brought; each request is counted."""
    runs = {name: Run.trigger(client, own_dag(name)) for name in ("paged", "jobs")}
    for run in runs.values():
        run.succeeded()
    summaries = {name: run.returned("fetch") for name, run in runs.items()}
    for name, run in runs.items():
        documents = list(loaded[run.dag_id].find({"result": {"$ne": None}}))
        assert {len(document["result"]) for document in documents} == {INVOICES}, name
        assert (len(documents), summaries[name]["kinds"]) == (CUSTOMERS, {"ok": CUSTOMERS, "null": 1})
    stats = service.stats()
    assert summaries["paged"]["requests"] == CUSTOMERS * PAGES + 1
    assert (stats["exports"]["created"], stats["exports"]["most_of_one"]) == (CUSTOMERS, 1)
    # An order, the questions, and a download.
    asked = stats["exports"]["asked"]
    assert summaries["jobs"]["requests"] == CUSTOMERS + 1 + asked + CUSTOMERS
    shown = runs["jobs"].shown()
    assert "/exports/{job}" in shown
    assert "exp_0" not in shown
