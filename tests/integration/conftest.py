"""The project's DAGs and those of this folder, in one real Airflow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from demo.airflow import Airflow, AirflowClient
from demo.service import DemoService

if TYPE_CHECKING:
    from pymongo.database import Database

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "dags", Path(__file__).with_name("dags"))
DAGS = {
    "daily_call_report.py": ("daily_call_report",),
    "crawl_call_logs.py": ("crawl_call_logs",),
    "alerting.py": ("alerted", "alerted_in_time", "alerted_in_vain", "alerted_plainly", "disturbed"),
    "daily_call_summary.py": ("daily_call_summary",),
    "clean_staging.py": ("clean_staging",),
    "bad_input.py": (
        *("misspelt", "not_json", "empty", "empty_allowed", "twins_dropped", "twins_refused", "no_connection"),
        *("no_host", "not_a_number", "unknown_only", "no_key", "beyond_64_bits", "same_key", "not_validated"),
    ),
    "days.py": ("days",),
    "functions.py": ("function_here", "function_imported", "function_lambda", "function_locked"),
    "many.py": ("many", "too_many"),
    "slices.py": (
        *("slice", "slice_limited", "slice_impatient", "slice_metered", "slice_missing", "slice_nowhere"),
        "slice_sharded",
    ),
    "three_bad.py": ("three_bad",),
}
# A daily report begins to run by itself when it is unpaused, and `airflow dags test` wants the scheduler's hands off.
PAUSED = frozenset({"daily_call_report", "daily_call_summary", "clean_staging", "many", "too_many"})


@pytest.fixture(scope="session")
def dag_ids(airflow: Airflow) -> list[str]:
    """The ids of all DAGs, parsed and, but for the `PAUSED`, ready to be triggered."""
    for source in (file for folder in FOLDERS for file in folder.glob("*.py")):
        shutil.copy(source, airflow.home.dags)
    client = airflow.client()
    for file, ids in DAGS.items():
        for dag_id in ids:
            client.wait_parsed(dag_id, file=airflow.home.dags / file)
            if dag_id not in PAUSED:
                client.unpause(dag_id)
    return [dag_id for ids in DAGS.values() for dag_id in ids]


@pytest.fixture
def client(dag_ids: list[str], airflow_client: AirflowClient) -> AirflowClient:
    """Airflow's REST interface, once all DAGs are parsed."""
    return airflow_client


@pytest.fixture
def service(call_service: DemoService) -> Iterator[DemoService]:
    """The service with nothing counted and no faults."""
    call_service.restore_faults()
    call_service.reset_stats()
    yield call_service
    call_service.restore_faults()


@pytest.fixture(scope="session")
def mongo(mongo_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    """The MongoDB that the reports are loaded into."""
    with MongoClient[dict[str, Any]](mongo_uri, tz_aware=True) as found:
        yield found


@pytest.fixture
def loaded(mongo: MongoClient[dict[str, Any]]) -> Database[dict[str, Any]]:
    """The database of this folder's reports: a collection for each, named like its DAG."""
    return mongo["tests"]
