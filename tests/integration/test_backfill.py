"""The daily report by its schedule, backfilled, and backfilled again: each day's documents are its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from harness.airflow.home import COMMAND
from harness.service import DemoService
from tests.airflow_fixture import AddDag, SharedAirflow
from tests.integration.daily import FEW, ZONE, all_ended, backfilled, changed, expected, midnight, report
from tests.integration.runs import Run, until

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

DAG = "few_calls_report"
# A summary takes longer than its neighbours' loads are apart, as with many more documents: Airflow tells its runs of a
# few of the loads only.
SUMMARY = {
    "import datetime\n": "import datetime\nfrom time import sleep\n",
    "loads = context": "sleep(6.0)\n        loads = context",
    "catchup=False": "catchup=False, max_active_runs=1",
    '"daily_call_summary"': '"few_calls_summary"',
    '"daily_calls"': '"few_calls"',
    '"daily_summary"': '"few_summary"',
}


def summed(day: date) -> dict[str, Any]:
    """Return a day's summary."""
    documents = expected(day)
    return {
        "_id": midnight(day).astimezone(UTC),
        "day": day.isoformat(),
        "subscribers": FEW,
        "silent": sum(not document["calls"] for document in documents),
        "calls": sum(document["calls"] for document in documents),
        "seconds": sum(document["seconds"] for document in documents),
    }


@pytest.fixture
def reports(mongo: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """The database of the reports; this file's collections are dropped at the end."""
    yield mongo["reports"]
    for name in ("few_calls", "few_summary"):
        mongo["reports"].drop_collection(name)


def documents(reports: Database[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all documents of the report, in order, without MongoDB's own ids."""
    return list(reports["few_calls"].find({}, {"_id": 0}).sort(["as_of", "tel"]))


def has_summaries(reports: Database[dict[str, Any]], days: list[date]) -> None:
    """Wait until there is the right summary of each of the days, and none besides."""
    wanted = [summed(day) for day in days]
    until(lambda: list(reports["few_summary"].find().sort("_id")) == wanted, what=f"summaries of {days}")


def scheduled_run(client: AirflowClient) -> Run:
    """Return the one run that the schedule has begun by itself."""
    (run,) = until(lambda: client.runs(DAG), what="a scheduled run")
    assert run["run_type"] == "scheduled"
    return Run(client, DAG, run["dag_run_id"])


def backfilled_by_command(airflow: SharedAirflow, first: date, last: date, *options: str) -> None:
    """Backfill a range of days by the command line, and wait for its end."""
    client = airflow.client()
    span = ("--from-date", midnight(first).isoformat(), "--to-date", midnight(last).isoformat())
    command = [*COMMAND, "backfill", "create", "--dag-id", DAG, *span, *options]
    env = airflow.environment
    ran = subprocess.run(command, env=env, cwd=airflow.home.directory, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    all_ended(client, DAG)


def spoil(reports: Database[dict[str, Any]], days: list[date]) -> None:
    """Make all documents and summaries of some days wrong."""
    moments = [midnight(day).astimezone(UTC) for day in days]
    reports["few_calls"].update_many({"as_of": {"$in": moments}}, {"$set": {"calls": -1}})
    reports["few_summary"].update_many({"_id": {"$in": moments}}, {"$set": {"calls": -1}})


def asked(service: DemoService) -> int:
    """Return how often the service was asked for calls since this was asked last."""
    count = sum(service.asked().values())
    service.reset_stats()
    return count


def test_every_night_and_backfilled_by_hand(
    add_dag: AddDag,
    airflow: SharedAirflow,
    client: AirflowClient,
    service: DemoService,
    reports: Database[dict[str, Any]],
) -> None:
    """The schedule reports yesterday; five days before it are backfilled, not at all, those that failed, and all again.

    Each time MongoDB has exactly the documents of each day, and the summary DAG has made each day's sums of them.
    """
    add_dag("few_calls_summary", changed("daily_call_summary.py", SUMMARY))
    add_dag(DAG, report(DAG, "few_calls"))
    run = scheduled_run(client)
    run.succeeded()
    listed = run.returned("extract")
    yesterday = date.fromisoformat(listed["day"])
    assert (yesterday, listed["as_of_from"]) == (datetime.now(ZONE).date() - timedelta(days=1), "data_interval")
    assert documents(reports) == expected(yesterday)
    has_summaries(reports, [yesterday])

    days = [yesterday - timedelta(days=back) for back in range(5, -1, -1)]
    five = (days[0], days[4])
    everything = [document for day in days for document in expected(day)]
    backfilled(client, DAG, *five, max_active_runs=3)
    assert documents(reports) == everything
    has_summaries(reports, days)
    assert asked(service) == len(everything)

    failed = Run(client, DAG, client.runs(DAG)[2]["dag_run_id"])
    client.request("PATCH", f"/api/v2/dags/{DAG}/dagRuns/{failed.run_id}", json={"state": "failed"})
    spoil(reports, [days[2]])
    backfilled_by_command(airflow, *five, "--reprocess-behavior", "failed", "--run-backwards")
    assert documents(reports) == everything
    has_summaries(reports, days)
    assert asked(service) == FEW

    spoil(reports, days[:5])
    backfilled(client, DAG, *five, reprocess="completed", max_active_runs=5, backwards=True)
    assert documents(reports) == everything
    has_summaries(reports, days)
    assert asked(service) == 5 * FEW
    the_page_has_their_days(client, days[:5])


def the_page_has_their_days(client: AirflowClient, days: list[date]) -> None:
    """See each backfill with its days on the page, those that Airflow left as they were, too."""
    address = f"/fanout/data/dags/{DAG}"
    again, repaired, first = client.request("GET", address)["backfills"]
    assert [each["days"] for each in (first, repaired, again)] == [
        {"success": 5},
        {"success": 1, "skipped": 4},
        {"success": 5},
    ]
    backfill = client.request("GET", f"{address}/backfills/{repaired['id']}")
    assert [(day["day"], day["state"], day["reason"]) for day in backfill["days"]] == [
        (day.isoformat(), "success", None) if day == days[2] else (day.isoformat(), "skipped", "already exists")
        for day in reversed(days)
    ]
    run_ids = {run["dag_run_id"] for run in client.runs(DAG)}
    # The night that the schedule has begun is in none of them.
    assert len(run_ids - {day["run_id"] for day in backfill["days"]}) == 1
    assert len(run_ids) == len(days) + 1
    assert (backfill["begin"], backfill["end"]) == (days[0].isoformat(), days[-1].isoformat())
    assert all(run["documents"] == FEW for run in backfill["reports"][0]["runs"])
