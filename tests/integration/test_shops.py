"""Parameters that name their connections, in a real Airflow: each shop's own password opens its own part of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.airflow import AirflowClient
from tests.engine.shops import Shops, password, shop_of
from tests.http.servers import Server
from tests.integration.own import OwnReports
from tests.integration.runs import Run

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.airflow

NAMES = ("berlin", "bremen", "bonn")
REPORT = """
from airflow.sdk import DAG
from airflow_fanout import FanoutTaskGroup, Request

SHOPS = ["berlin", "bremen", "bonn"]

def items():
    return [{"shop": shop, "item": item} for item in range(20) for shop in SHOPS]

with DAG("stock", schedule=None):
    FanoutTaskGroup(
        "report",
        extract={"source": items, "names": ("shop", "item")},
        fetch={"http_conn_id": "{shop}", "request": Request(endpoint="/stock/{item}", result="left")},
        load={"database": "tests", "collection": "stock", "key": ("shop", "item")},
    )
"""


def test_each_parameter_goes_to_the_connection_that_it_names(
    client: AirflowClient, own_reports: OwnReports, loaded: Database[dict[str, Any]]
) -> None:
    """A report over three connections of Airflow's, from the list to the documents."""
    shops = Shops()
    with Server(shops.handle) as server:
        for name in NAMES:
            login = {"login": f"user of {name}", "password": password(name)}
            own_reports.connect(name, "http", server.port, host=f"{server.origin}/{name}", **login)
        own_reports.add(own_reports.name("stock"), REPORT.replace('"stock"', f'"{own_reports.name("stock")}"'))
        run = Run.trigger(client, own_reports.name("stock"), {})
        run.succeeded()
        asked = [shop_of(seen) for seen in server.seen]
    assert sorted(asked) == sorted(NAMES * 20)
    documents = list(loaded[run.dag_id].find({}, {"_id": 0, "shop": 1, "item": 1, "result": 1}))
    assert sorted((each["shop"], each["item"]) for each in documents) == sorted(
        (own_reports.name(name), item) for name in NAMES for item in range(20)
    )
    assert all(each["item"] == each["result"] for each in documents)
