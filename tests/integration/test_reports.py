"""The project's two reports, by the scheduler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests

from demo.airflow import AirflowClient
from demo.follow import start_daily_run
from demo.service import DemoService
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo import MongoClient

# The first test waits for Airflow's start, too.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(300)]

# 2,000 requests of 50 ms, 100 at a time, take a second at the least.
IDEAL_S = 1.0
RUNS = 3
TELEPHONE_NUMBER = re.compile(r"\d{3}55501\d\d")


@pytest.fixture
def daily(client: AirflowClient) -> Iterator[Run]:
    """The daily report's newest run, which the scheduler has begun by itself."""
    yield Run(client, "daily_call_report", start_daily_run(client, "daily_call_report"))
    client.pause("daily_call_report")


def test_daily_call_report(
    client: AirflowClient, service: DemoService, mongo: MongoClient[dict[str, Any]], daily: Run
) -> None:
    """The day's 2,000 subscribers are each asked once, by 100 connections at the most, in 2.5 times the ideal time.

    The same day again leaves the same 2,000 documents; each time an asset event has the counts; nothing that
    Airflow shows has a telephone number in it.
    """
    took = [_good_run(daily, service, mongo)]
    # The machine may be busy with other things: the best of three.
    while len(took) < 2 or (len(took) < RUNS and min(took) > 2.5 * IDEAL_S):
        service.reset_stats()
        daily.clear()
        took.append(_good_run(daily, service, mongo))
    print(f"\nfetch of 2,000 at 50 ms by 100: {took} s; ideal {IDEAL_S} s")
    assert min(took) <= 2.5 * IDEAL_S
    events = client.asset_events(source_dag_id=daily.dag_id, source_run_id=daily.run_id)
    assert [event["extra"]["documents"] for event in events] == [2000] * len(took)
    assert TELEPHONE_NUMBER.findall(daily.shown()) == []


def _good_run(run: Run, service: DemoService, mongo: MongoClient[dict[str, Any]]) -> float:
    run.succeeded()
    stats = service.stats()
    assert (stats["asked"]["distinct"], stats["asked"]["most"]) == (2000, 1)
    # One more for extract, which has a session of its own.
    assert stats["connections"] <= 100 + 1
    as_of = datetime.fromisoformat(run.returned("load")["as_of"])
    assert mongo["reports"]["daily_calls"].count_documents({"as_of": as_of}) == 2000
    return float(run.returned("fetch")["seconds"])


def test_crawl_call_logs(client: AirflowClient, service: DemoService, mongo: MongoClient[dict[str, Any]]) -> None:
    """Each week, a tuple of two, is one call of the function of two arguments; each call it gives, a document."""
    weeks = 3
    run = Run.trigger(client, "crawl_call_logs", {"weeks": weeks}, logical_date=datetime(2026, 11, 2, tzinfo=UTC))
    run.succeeded()
    assert service.stats()["by_path"] == {"/call-log": weeks}
    assert run.returned("calls.fetch")["kinds"] == {"ok": weeks}
    documents = run.returned("calls.load")["documents"]
    collection = mongo["reports"]["call_log"]
    span = {"start": "2026-10-12", "end": "2026-11-02"}
    listed = requests.get(f"{service.url}/call-log", params=span, timeout=10).json()["rows"]
    assert documents == collection.count_documents({}) == len(listed) > 100
    days = collection.distinct("day")
    assert (min(days), max(days)) == ("2026-10-12", "2026-11-01")
