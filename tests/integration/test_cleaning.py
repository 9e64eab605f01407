"""The nightly cleaning of the staging area, with runs in all states that Airflow knows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout.staging.directory import ReportDirectory
from demo.airflow import Airflow, AirflowClient
from demo.numbers import number
from demo.service import DemoService
from tests.integration.runs import Run

# The first test waits for Airflow's start, too.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

DAY_S = 86_400


def of(staging: Path, run: Run) -> Path:
    """Return a run's directory."""
    return ReportDirectory.of(staging, dag_id=run.dag_id, run_id=run.run_id, report="any").path.parent


def made(staging: Path, run: Run) -> Path:
    """Make a run's directory, as extract would."""
    ReportDirectory.of(staging, dag_id=run.dag_id, run_id=run.run_id, report="report").new_list()
    return of(staging, run)


def aged(path: Path, days: float) -> Path:
    """Make all of a directory as old as that."""
    then = time.time() - days * DAY_S
    for found in (path, *path.rglob("*")):
        os.utime(found, (then, then))
    return path


@pytest.fixture
def staging(airflow: Airflow) -> Path:
    """The staging area of the tests' Airflow."""
    return airflow.home.directory / "fanout"


@pytest.fixture
def queued(client: AirflowClient) -> Iterator[Run]:
    """A run that doesn't begin, because its DAG is paused."""
    run = Run.trigger(client, "many", {})
    yield run
    client.request("DELETE", f"/api/v2/dags/many/dagRuns/{run.run_id}")


@pytest.fixture
def cleaning(client: AirflowClient) -> Iterator[None]:
    """The maintenance DAG, unpaused."""
    client.unpause("clean_staging")
    yield
    client.pause("clean_staging")


def clean(client: AirflowClient, **params: Any) -> dict[str, Any]:
    """Clean the staging area, and return what the task returned."""
    run = Run.trigger(client, "clean_staging", params)
    run.succeeded()
    found: dict[str, Any] = run.returned("clean")
    return found


def test_runs_that_are_over_go_and_all_others_stay(
    client: AirflowClient, service: DemoService, staging: Path, queued: Run, cleaning: None
) -> None:
    """A good run goes after a week; a failed one after a month, and can be completed until then; a queued one stays."""
    service.set_faults(missing=[number(1301)])
    good = Run.trigger(client, "slice", {"first": 1310, "count": 2})
    failed = Run.trigger(client, "slice", {"first": 1300, "count": 2})
    good.succeeded()
    assert failed.ended() == "failed"
    forgotten = Run(client, "slice", "manual__of_another_year")
    young = aged(made(staging, Run(client, "slice", "manual__young")), 6)
    long_name = aged(made(staging, Run(client, "slice", "manual__" + "x" * 240)), 8)
    waiting = aged(made(staging, queued), 300)
    gone = [aged(of(staging, good), 8), aged(made(staging, forgotten), 8)]
    stays = [aged(of(staging, failed), 8), young, long_name, waiting]

    rehearsed = clean(client, rehearsal=True)
    assert [path.exists() for path in (*gone, *stays)] == [True] * 6
    cleaned = clean(client)
    assert [path.exists() for path in gone] == [False, False]
    assert [path.exists() for path in stays] == [True] * 4
    assert cleaned == rehearsed
    assert cleaned["removed"] == 2
    assert (staging / "slice" / ".history").is_dir()

    service.restore_faults()
    failed.clear("fetch")
    failed.succeeded()
    assert failed.returned("fetch")["resumed"] == 1
    failed_again = aged(made(staging, Run(client, "slice", failed.run_id)), 29)
    client.request("PATCH", f"/api/v2/dags/slice/dagRuns/{failed.run_id}", json={"state": "failed"})
    assert clean(client)["removed"] == 0
    a_month_old = [aged(failed_again, 31), aged(long_name, 31)]
    assert clean(client)["removed"] == 2
    assert [path.exists() for path in (*a_month_old, waiting)] == [False, False, True]
