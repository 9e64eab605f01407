"""A night in an Airflow whose clock is weeks back: the schedule by itself, over midnight, after a day of 25 hours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from demo.airflow import Airflow, AirflowHome
from tests.integration.daily import ZONE, backfilled, expected, midnight, report
from tests.integration.runs import Run, until

if TYPE_CHECKING:
    from pymongo import MongoClient

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(300)]

CLOCK = Path(__file__).with_name("clock")
PLUGINS = Path(__file__).parents[2] / "plugins"
DAG = "nightly_report"
# The clocks of Europe are put back on it, so that it has 25 hours; and the day before it.
LONG, BEFORE = date(2026, 10, 25), date(2026, 10, 24)
# Airflow starts, and the report of the day before is done, before it ends.
EVENING = datetime(2026, 10, 25, 23, 58, 50, tzinfo=ZONE)


@pytest.fixture
def evening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the clock back to the evening of the long day, here and in all processes that are started meanwhile."""
    offset_s = EVENING.timestamp() - time.time()
    monkeypatch.setenv("CLOCK_OFFSET_S", str(offset_s))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CLOCK), os.environ["PYTHONPATH"]]))
    with time_machine.travel(time.time() + offset_s, tick=True):
        yield


@pytest.fixture
def airflow(evening: None, tmp_path: Path, airflow_connections: Mapping[str, str]) -> Iterator[Airflow]:
    """An Airflow of that evening."""
    home = AirflowHome(
        directory=tmp_path / "home", dags=tmp_path / "dags", plugins=PLUGINS, connections=airflow_connections
    )
    home.dags.mkdir()
    with Airflow(home) as running:
        yield running


@pytest.fixture
def collection(mongo: MongoClient[dict[str, Any]]) -> Iterator[Any]:
    """The collection that this report is loaded into."""
    yield mongo["reports"][DAG]
    mongo["reports"].drop_collection(DAG)


def documents(collection: Any, days: list[date]) -> list[dict[str, Any]]:
    """Return the documents of some days, in order, without MongoDB's own ids."""
    moments = [midnight(day).astimezone(UTC) for day in days]
    return list(collection.find({"as_of": {"$in": moments}}, {"_id": 0}).sort(["as_of", "tel"]))


def truth(days: list[date]) -> list[dict[str, Any]]:
    """Return what the documents of some days have to be."""
    return [document for day in days for document in expected(day)]


def test_a_report_is_made_when_its_day_has_ended(airflow: Airflow, collection: Any) -> None:
    """Unpaused in the evening, the DAG reports the day before; at midnight, by itself, the long day that has ended.

    The days before them can be backfilled, and backfilled again: each has its own documents, and no day has others.
    """
    client = airflow.client()
    file = airflow.home.dags / f"{DAG}.py"
    file.write_text(report(DAG, DAG))
    client.wait_parsed(DAG, file=file)
    client.unpause(DAG)

    [first] = until(lambda: client.runs(DAG), within_s=60, what="the run of the day before")
    Run(client, DAG, first["dag_run_id"]).succeeded()
    assert datetime.now(ZONE).date() == LONG, "this machine was too slow: midnight came first"
    assert documents(collection, [BEFORE]) == truth([BEFORE])

    [second] = until(lambda: client.runs(DAG)[1:], within_s=120, what="the run at midnight")
    assert second["run_type"] == "scheduled"
    assert datetime.fromisoformat(second["data_interval_start"]) == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert datetime.fromisoformat(second["data_interval_end"]) == datetime(2026, 10, 25, 23, tzinfo=UTC)
    run = Run(client, DAG, second["dag_run_id"])
    run.succeeded()
    assert run.returned("extract")["day"] == LONG.isoformat()
    assert documents(collection, [LONG]) == truth([LONG])

    days = [LONG - timedelta(days=back) for back in range(4, -1, -1)]
    backfilled(client, DAG, days[0], days[-1], max_active_runs=3)
    assert documents(collection, days) == truth(days)
    collection.update_many({}, {"$set": {"calls": -1}})
    backfilled(client, DAG, days[0], days[-1], reprocess="completed", max_active_runs=3)
    assert documents(collection, days) == truth(days)
    assert (len(client.runs(DAG)), collection.count_documents({})) == (len(days), len(truth(days)))
