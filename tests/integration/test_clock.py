"""A night in an Airflow whose clock is weeks back: the schedule by itself, over midnight, after a day of 25 hours."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import time_machine

from harness.airflow import Airflow, AirflowHome
from harness.service import DemoService
from tests.integration.daily import ZONE, backfilled, expected, midnight, report
from tests.integration.runs import Run, until
from tests.metadata import copied
from tests.shared import PLUGINS, Servers, connections

if TYPE_CHECKING:
    from pymongo import MongoClient

pytestmark = [pytest.mark.airflow, pytest.mark.own_airflow, pytest.mark.slow]

CLOCK = Path(__file__).with_name("clock")
DAG = "nightly_report"
# The clocks of Europe are put back on it, so that it has 25 hours; and the day before it.
LONG, BEFORE = date(2026, 10, 25), date(2026, 10, 24)
# Airflow starts, and the report of the day before is done, before it ends: also where that takes half an hour.
EVENING = datetime(2026, 10, 25, 23, 0, tzinfo=ZONE)
NEARLY_MIDNIGHT = datetime(2026, 10, 25, 23, 59, 50, tzinfo=ZONE)


@dataclass(frozen=True)
class Clock:
    """The clock of this process, and of all that are started meanwhile."""

    file: Path
    here: time_machine.Coordinates

    def put_forward(self, moment: datetime) -> None:
        """Put it forward to a moment; the other processes follow a moment later."""
        forward_s = moment.timestamp() - time.time()
        self.here.shift(forward_s)
        draft = self.file.with_suffix(".draft")
        draft.write_text(str(float(self.file.read_text()) + forward_s))
        draft.replace(self.file)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Clock]:
    """Put the clock back to the evening of the long day, here and in all processes that are started meanwhile."""
    offset_s = EVENING.timestamp() - time.time()
    file = tmp_path / "offset_s"
    file.write_text(str(offset_s))
    monkeypatch.setenv("CLOCK_OFFSET_FILE", str(file))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CLOCK), os.environ["PYTHONPATH"]]))
    with time_machine.travel(time.time() + offset_s, tick=True) as here:
        yield Clock(file, here)


@pytest.fixture
def airflow(service: DemoService, mongo_uri: str, clock: Clock, servers: Servers, tmp_path: Path) -> Iterator[Airflow]:
    """An Airflow of that evening."""
    home = AirflowHome(
        directory=tmp_path / "home",
        dags=tmp_path / "dags",
        plugins=PLUGINS,
        connections=connections(service.url, mongo_uri),
    )
    home.dags.mkdir()
    with Airflow(copied(home, servers)) as running:
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


@pytest.mark.long
def test_a_report_is_made_when_its_day_has_ended(airflow: Airflow, clock: Clock, collection: Any) -> None:
    """Unpaused in the evening, the DAG reports the day before; at midnight, by itself, the long day that has ended.

    The days before them can be backfilled, and backfilled again: each has its own documents, and no day has others.
    """
    client = airflow.client()
    file = airflow.home.dags / f"{DAG}.py"
    file.write_text(report(DAG, DAG))
    client.wait_parsed(DAG, file=file)
    client.unpause(DAG)

    [first] = until(lambda: client.runs(DAG), what="the run of the day before")
    Run(client, DAG, first["dag_run_id"]).succeeded()
    assert datetime.now(ZONE).date() == LONG, "this machine was too slow: midnight came first"
    assert documents(collection, [BEFORE]) == truth([BEFORE])
    assert len(client.runs(DAG)) == 1

    clock.put_forward(NEARLY_MIDNIGHT)
    [second] = until(lambda: client.runs(DAG)[1:], what="the run at midnight")
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
