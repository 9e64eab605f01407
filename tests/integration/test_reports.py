"""The project's two reports, by the scheduler."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from demo.follow import start_daily_run
from harness.airflow import AirflowClient
from harness.service import DemoService
from harness.service.calls import calls_of
from tests.airflow_fixture import AddDag
from tests.integration.daily import SEED
from tests.integration.own import ROOT, OwnDag
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo import MongoClient

pytestmark = pytest.mark.airflow

TELEPHONE_NUMBER = re.compile(r"\d{3}55501\d\d")


@pytest.fixture
def daily(client: AirflowClient, own_dag: OwnDag) -> Run:
    """The daily report's newest run, which the scheduler has begun by itself."""
    dag_id = own_dag("daily_call_report", paused=True)
    return Run(client, dag_id, start_daily_run(client, dag_id))


def test_daily_call_report(
    client: AirflowClient, service: DemoService, mongo: MongoClient[dict[str, Any]], daily: Run
) -> None:
    """The day's 2,000 subscribers are each asked once, by 100 connections at the most.

    The same day again leaves the same 2,000 documents; each time an asset event has the counts; nothing that
    Airflow shows has a telephone number in it.
    """
    is_good(daily, service, mongo)
    service.reset_stats()
    daily.clear()
    is_good(daily, service, mongo)
    events = client.asset_events(source_dag_id=daily.dag_id, source_run_id=daily.run_id)
    assert [event["extra"]["documents"] for event in events] == [2000, 2000]
    assert TELEPHONE_NUMBER.findall(daily.shown()) == []


def is_good(run: Run, service: DemoService, mongo: MongoClient[dict[str, Any]]) -> None:
    """Wait for the run's end, and compare what the service and MongoDB have of it with the list."""
    run.succeeded()
    stats = service.stats()
    assert (stats["asked"]["distinct"], stats["asked"]["most"]) == (2000, 1)
    # One more for extract, which has a session of its own.
    assert 20 < stats["connections"] <= 100 + 1
    as_of = datetime.fromisoformat(run.returned("load")["as_of"])
    assert mongo["reports"]["daily_calls"].count_documents({"as_of": as_of}) == 2000


def test_the_readmes_first_report(client: AirflowClient, add_dag: AddDag, mongo: MongoClient[dict[str, Any]]) -> None:
    """The README's twenty lines, as they are: one document for each subscriber, about the day that has ended."""
    add_dag("call_report", (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0])
    run = Run(client, "call_report", start_daily_run(client, "call_report"))
    run.succeeded()
    assert run.returned("calls.fetch")["kinds"] == {"ok": 2000}
    loaded = run.returned("calls.load")
    as_of = datetime.fromisoformat(loaded["as_of"])
    # A day has ended when the next one begins, which it may just do.
    assert timedelta(days=1) <= datetime.now(UTC) - as_of < timedelta(days=2, hours=1)
    collection = mongo["reports"]["calls"]
    assert collection.count_documents({"as_of": as_of}) == collection.count_documents({}) == 2000
    document = collection.find_one({}) or {}
    assert {*document} == {"_id", "as_of", "tel", "result"}
    calls = [
        {"at": call.at, "to": call.to, "seconds": call.seconds}
        for call in calls_of(SEED, document["tel"], as_of.date())
    ]
    assert document["result"] == calls


def test_crawl_call_logs(
    client: AirflowClient, own_dag: OwnDag, service: DemoService, mongo: MongoClient[dict[str, Any]]
) -> None:
    """Each week, a tuple of two, is one call of the function of two arguments; each call it gives, a document."""
    weeks = 3
    day = datetime(2026, 11, 2, tzinfo=UTC)
    run = Run.trigger(client, own_dag("crawl_call_logs"), {"weeks": weeks}, logical_date=day)
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
