"""What a test of reports has for itself in the shared Airflow, so that tests run side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from harness.airflow import AirflowClient
from harness.service import DemoService
from tests.airflow_fixture import AddDag, SharedAirflow
from tests.integration.own import OwnDag, OwnReports, own_service
from tests.page import browser as browsers
from tests.page.browser import Browser

if TYPE_CHECKING:
    from pymongo.database import Database


@pytest.fixture
def client(airflow_client: AirflowClient) -> AirflowClient:
    """Airflow's REST interface."""
    return airflow_client


@pytest.fixture
def service() -> Iterator[DemoService]:
    """The test's own service; the connection `call_api` in the DAGs that it adds leads there."""
    with own_service() as running:
        yield running


@pytest.fixture
def own_reports(airflow: SharedAirflow, service: DemoService) -> Iterator[OwnReports]:
    """The test's own DAGs and connections in the shared Airflow."""
    with OwnReports(airflow, service).open() as own:
        yield own


@pytest.fixture
def add_dag(own_reports: OwnReports) -> AddDag:
    """``add_dag(dag_id, source)`` adds a DAG file, in which `"call_api"` means the test's own service."""
    return own_reports.add


@pytest.fixture
def own_dag(own_reports: OwnReports) -> OwnDag:
    """``own_dag("slice")`` adds the test's own copy of a DAG file, and returns the id of the DAG's copy."""
    return own_reports.dag


@pytest.fixture(scope="session")
def mongo(mongo_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """The MongoDB that the reports are loaded into."""
    with MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as found:
        yield found


@pytest.fixture
def loaded(mongo: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    """The database of this folder's reports: a collection for each, named like its DAG."""
    return mongo["tests"]


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[Browser]:
    """A window of the test's own."""
    with browsers.browser(tmp_path) as window:
        yield window
