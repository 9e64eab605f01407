"""An Airflow as the demo starts it, with SQLite for its metadata: what that costs nobody, and its end."""

from __future__ import annotations

import sqlite3
import textwrap
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import psutil
import pytest

from harness.airflow import Airflow, AirflowClient, AirflowHome
from tests.harness.dag_files import daily, slow, two_tasks, wait_resting
from tests.metadata import copied
from tests.shared import Servers

pytestmark = [pytest.mark.airflow, pytest.mark.own_airflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, servers: Servers) -> Iterator[Airflow]:
    """The Airflow of this file, which a test may stop."""
    place = tmp_path_factory.mktemp("sqlite")
    (place / "dags").mkdir()
    home = AirflowHome(directory=place / "home", dags=place / "dags")
    with Airflow(copied(home, servers)) as running:
        yield running


@pytest.fixture
def airflow(started: Airflow) -> Airflow:
    """The Airflow of this file, running."""
    if not started.running:
        started.start()
    return started


def added(airflow: Airflow, dag_id: str, source: str) -> AirflowClient:
    """Add a DAG; return the administrator's session."""
    file = airflow.home.dags / f"{dag_id}.py"
    file.write_text(textwrap.dedent(source))
    client = airflow.client()
    client.wait_parsed(dag_id, file=file)
    client.unpause(dag_id)
    return client


@pytest.mark.long
def test_backfills_beside_running_tasks(airflow: Airflow) -> None:
    """However much other tasks write meanwhile, a backfill is made at once, and keeps the runs that it repeats."""
    client = added(airflow, "daily_busy", daily("daily_busy"))
    first, last = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)
    for _ in range(3):
        others = [client.trigger("daily_busy") for _ in range(3)]
        made = client.create_backfill("daily_busy", first, last, max_active_runs=3, reprocess="completed")
        runs = [run["dag_run_id"] for run in client.runs("daily_busy") if run["run_type"] == "backfill"]
        assert len(runs) == 5
        assert {client.wait_run("daily_busy", run_id)["state"] for run_id in [*others, *runs]} == {"success"}
        # Else Airflow takes it for running for 30 s more, and refuses another one.
        client.request("PUT", f"/api/v2/backfills/{made}/cancel")


@pytest.mark.long
def test_a_held_metadata_database_delays_a_run_only(airflow: Airflow) -> None:
    """A writer that holds SQLite for longer than the driver's own patience fails neither a request nor a run."""
    client = added(airflow, "patient", two_tasks("patient"))
    database = sqlite3.connect(airflow.home.directory / "airflow.db", isolation_level=None, check_same_thread=False)
    database.execute("BEGIN IMMEDIATE")
    letting_go = threading.Timer(7, database.rollback)
    letting_go.start()
    run_id = client.trigger("patient")
    assert client.wait_run("patient", run_id)["state"] == "success"
    letting_go.join()
    database.close()
    assert "database is locked" not in airflow.log("api-server").read_text()
    assert "database is locked" not in airflow.log("scheduler").read_text()


def test_stop_leaves_no_process(airflow: Airflow) -> None:
    """After stop() every process is gone, also the task that was running; stopping again does nothing."""
    wait_resting(added(airflow, "slow", slow("slow")), "slow")
    started = trees(airflow.pids.values())
    assert len(started) > 10
    airflow.stop()
    assert [process for process in started if process.is_running()] == []
    assert airflow.pids == {}
    airflow.stop()


def trees(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the keepers of processes, and all below them."""
    keepers = [keeper for pid in pids if (keeper := psutil.Process(pid).parent())]
    return [*keepers, *(child for keeper in keepers for child in keeper.children(recursive=True))]
