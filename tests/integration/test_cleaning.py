"""The nightly cleaning of the staging area, with runs in all states that Airflow knows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout.staging.directory import ReportDirectory
from airflow_fanout.staging.folder import FolderStore
from harness.airflow import AirflowClient
from harness.numbers import number
from harness.service import DemoService
from tests.airflow_fixture import SharedAirflow
from tests.integration.own import OwnDag
from tests.integration.runs import Run, until
from tests.staging.places import path_of

# The first test waits for Airflow's start, too.
pytestmark = pytest.mark.airflow

DAY_S = 86_400

Clean = Callable[..., dict[str, Any]]


def of(staging: Path, run: Run) -> Path:
    """Return a run's directory."""
    return path_of(ReportDirectory.of(FolderStore(staging), dag_id=run.dag_id, run_id=run.run_id, report="any")).parent


def made(staging: Path, run: Run) -> Path:
    """Make a run's directory, as extract would."""
    ReportDirectory.of(FolderStore(staging), dag_id=run.dag_id, run_id=run.run_id, report="report").new_list()
    return of(staging, run)


def aged(path: Path, days: float) -> Path:
    """Make all of a directory as old as that."""
    then = time.time() - days * DAY_S
    for found in (path, *path.rglob("*")):
        os.utime(found, (then, then))
    return path


@pytest.fixture
def staging(airflow: SharedAirflow) -> Path:
    """The staging area of the tests' Airflow."""
    return airflow.home.directory / "fanout"


@pytest.fixture
def queued(client: AirflowClient, own_dag: OwnDag) -> Run:
    """A run that doesn't begin, because its DAG is paused."""
    return Run.trigger(client, own_dag("many", paused=True), {})


@pytest.fixture
def clean(client: AirflowClient, own_dag: OwnDag) -> Clean:
    """Clean the staging area by the maintenance DAG, with these params, and return what its task returned."""
    dag_id = own_dag("clean_staging")
    # Its schedule begins a run at once, which is not to meet what the test makes.
    [nightly] = until(lambda: client.runs(dag_id), what="the nightly run")
    Run(client, dag_id, nightly["dag_run_id"]).succeeded()

    def cleaned(**params: Any) -> dict[str, Any]:
        run = Run.trigger(client, dag_id, params)
        run.succeeded()
        found: dict[str, Any] = run.returned("clean")
        # Other tests have runs there, too.
        return {name: found[name] for name in ("removed", "bytes")}

    return cleaned


def test_runs_that_are_over_go_and_all_others_stay(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, staging: Path, queued: Run, clean: Clean
) -> None:
    """A good run goes after a week; a failed one after a month, and can be completed until then; a queued one stays."""
    dag_id = own_dag("slice")
    service.set_faults(missing=[number(1301)])
    good, failed = (Run.trigger(client, dag_id, {"first": first, "count": 2}) for first in (1310, 1300))
    good.succeeded()
    assert failed.ended() == "failed"
    forgotten = Run(client, dag_id, "manual__of_another_year")
    young = aged(made(staging, Run(client, dag_id, "manual__young")), 6)
    long_name = aged(made(staging, Run(client, dag_id, "manual__" + "x" * 240)), 8)
    waiting = aged(made(staging, queued), 300)
    gone = [aged(of(staging, good), 8), aged(made(staging, forgotten), 8)]
    stays = [aged(of(staging, failed), 8), young, long_name, waiting]

    rehearsed = clean(dry_run=True)
    assert [path.exists() for path in (*gone, *stays)] == [True] * 6
    cleaned = clean()
    assert [path.exists() for path in gone] == [False, False]
    assert [path.exists() for path in stays] == [True] * 4
    assert cleaned["removed"] == 2
    assert cleaned == rehearsed
    assert (staging / dag_id / ".history").is_dir()

    service.restore_faults()
    failed.clear("fetch")
    failed.succeeded()
    assert failed.returned("fetch")["resumed"] == 1
    failed_again = aged(made(staging, Run(client, dag_id, failed.run_id)), 29)
    client.request("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{failed.run_id}", json={"state": "failed"})
    assert clean()["removed"] == 0
    a_month_old = [aged(failed_again, 31), aged(long_name, 31)]
    assert clean()["removed"] == 2
    assert [path.exists() for path in (*a_month_old, waiting)] == [False, False, True]
