"""The invoices from a service like a SaaS company's: tokens that end, pages, a rate; the list is in PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg2
import pytest

from demo.follow import start_daily_run
from harness.airflow import AirflowClient
from harness.service import DemoService
from harness.service.invoices import INVOICES, PAGES, customers, invoices_of
from tests.integration.own import OwnReports
from tests.integration.runs import Run
from tests.shared import HOST, Servers

if TYPE_CHECKING:
    from pymongo import MongoClient

pytestmark = pytest.mark.airflow

# One in twenty is unknown to the API.
CUSTOMERS, ALL_CUSTOMERS = 315, 5_263
SEED = 7
RATE_PER_S = 100
SECRET = "s:e cret&more"


@pytest.fixture
def many(request: pytest.FixtureRequest) -> int:
    """How many customers there are."""
    return int(getattr(request, "param", CUSTOMERS))


@pytest.fixture
def service(many: int) -> Iterator[DemoService]:
    """A service that only tokens open, with the company's limit on requests."""
    # Short ones if there are few customers, so that they end in mid-run here, too.
    lifetime_s = 60.0 if many == ALL_CUSTOMERS else 4.0
    with DemoService.start(
        subscribers=2,
        customers=many,
        client_id="client",
        client_secret=SECRET,
        token_lifetime_s=lifetime_s,
        limit_per_s=RATE_PER_S,
        latency_ms=50,
    ) as running:
        yield running


@pytest.fixture
def crm(servers: Servers, many: int) -> Iterator[tuple[int, str]]:
    """The table of customers, in a schema of its own; its server's port, and the schema's name."""
    port, schema = servers.ask("postgres_port"), f"crm_{uuid4().hex[:6]}"
    database = psycopg2.connect(host=HOST, port=port, user="airflow", dbname="airflow")
    try:
        with database, database.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {schema}")
            cursor.execute(f"SET LOCAL search_path TO {schema}")
            cursor.execute("CREATE TABLE customers (id text PRIMARY KEY, name text NOT NULL)")
            rows = [(customer.id, customer.name) for customer in customers(many)]
            cursor.executemany("INSERT INTO customers VALUES (%s, %s)", rows)
        yield port, schema
        with database, database.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {schema} CASCADE")
    finally:
        database.close()


@pytest.fixture
def daily(client: AirflowClient, own_reports: OwnReports, service: DemoService, crm: tuple[int, str]) -> Run:
    """The report's newest run, which the scheduler has begun by itself."""
    port, schema = crm
    oauth = {"auth": "oauth2", "token_url": f"{service.url}/oauth/token"}
    own_reports.connect(
        "billing_api", "http", service.port, json.dumps(oauth), schema="http", login="client", password=SECRET
    )
    options = json.dumps({"options": f"-csearch_path={schema}"})
    own_reports.connect("crm", "postgres", port, options, login="airflow", schema="airflow")
    dag_id = own_reports.dag("daily_invoices", paused=True)
    return Run(client, dag_id, start_daily_run(client, dag_id))


@pytest.mark.parametrize("many", [CUSTOMERS, pytest.param(ALL_CUSTOMERS, marks=pytest.mark.long)], indirect=True)
def test_daily_invoices(daily: Run, many: int, service: DemoService, mongo: MongoClient[dict[str, Any]]) -> None:
    """Every page of every customer is answered once, and is in MongoDB; nothing is asked for again.

    The tokens end in mid-run.
    """
    daily.succeeded()
    active = [customer for customer in customers(many) if customer.active]
    pages, unknown = len(active) * PAGES, many - len(active)
    stats = service.stats()
    assert stats["pages"] == {"answered": pages, "again": 0}
    # What a busy machine sends too close together, or just when a token ends, is sent again.
    refused = stats["by_status"].pop("429", 0) + stats["by_status"].pop("401", 0)
    assert stats["by_status"] == {"200": pages + stats["tokens"]["issued"], "404": unknown}
    assert stats["tokens"]["issued"] > 1
    fetched = daily.returned("invoices.fetch")
    assert fetched["kinds"] == {"ok": len(active), "null": unknown}
    assert fetched["requests"] == stats["by_path"]["/invoices"] == pages + unknown + refused
    loaded = daily.returned("invoices.load")
    assert loaded["documents"] == len(active) * INVOICES
    as_of = datetime.fromisoformat(loaded["as_of"])
    collection = mongo["reports"]["invoices"]
    assert collection.count_documents({"as_of": as_of}) == len(active) * INVOICES
    document = collection.find_one({"as_of": as_of, "customer": active[-1].id}) or {}
    [invoice] = [invoice for invoice in invoices_of(SEED, active[-1].id, as_of.date()) if invoice.id == document["id"]]
    assert document["issued"] == datetime.fromisoformat(invoice.issued)
    assert document["amount"].to_decimal() == Decimal(invoice.amount)
    print(summary(stats, fetched, refused))


def summary(stats: dict[str, Any], fetched: dict[str, Any], refused: int) -> str:
    """Return how much of the rate was used: of the whole seconds between the first request and the last."""
    seconds = {int(second): counts for second, counts in stats["by_second"].items()}
    accepted = [counts["requests"] - counts["refused"] for counts in seconds.values()]
    between = max(seconds) - min(seconds) - 1
    share = sum(accepted[1:-1]) / (between * RATE_PER_S)
    return f"{fetched['requests']} requests in {fetched['seconds']} s, {refused} refused, {share:.1%} of the rate"
