"""Reports whose runs are put into Airflow's database in the states that the page shows: none of them ever runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable
from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from airflow_fanout import (
    ExtractOperator,
    FanoutTaskGroup,
    GeventFetchOperator,
    MongoLoadOperator,
    Request,
    ValidateOperator,
)
from airflow_fanout.notifications.deadline import LoadedBy, send_late

NIGHTLY = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")


def nightly(dag_id: str, **arguments: Any) -> DAG:
    """Make a DAG."""
    return DAG(dag_id, schedule=NIGHTLY, start_date=datetime(2025, 1, 1, tzinfo=UTC), catchup=False, **arguments)


def report(dag_id: str, shards: int | None = None, **arguments: Any) -> DAG:
    """Make a report."""
    with nightly(dag_id, **arguments) as dag:
        FanoutTaskGroup(
            "calls",
            prefix_group_id=False,
            extract={"source": lambda: ["+12025550100"], "names": ("tel",), "shards": shards},
            fetch={"request": Request(endpoint="/calls/{tel}"), "http_conn_id": "call_api"},
            load={"database": "reports", "collection": dag_id, "key": ("tel",)},
        )
    return dag


daily_call_report = report("daily_call_report")
account_balances = report("account_balances")
invoice_lines = report("invoice_lines")
# It passes a minute after a run is due.
BY_ONE = DeadlineAlert(LoadedBy("00:01"), timedelta(0), AsyncCallback(send_late, kwargs={"channels": []}))
meter_readings = report("meter_readings", deadline=BY_ONE)
sharded_report = report("subscriber_usage", shards=8)
hostile = report("hostile", deadline=BY_ONE)
hostile_waiting = report("hostile_waiting")
# One for each of the rarer states.
rare = [
    report(f"rare_{name}") for name in ("queued", "retry", "deferred", "silent", "extract", "fetch", "older", "partial")
]
hundred = report("rare_hundred", shards=100)
# The one that a test clears.
payment_terms = report("payment_terms")


class TariffList(ExtractOperator):
    """An extract of somebody's own."""


class TariffFetch(GeventFetchOperator):
    """A fetch of somebody's own."""


class TariffChecks(ValidateOperator):
    """A validate of somebody's own."""


class TariffLoad(MongoLoadOperator):
    """A load of somebody's own."""


with nightly("tariff_changes") as tariff_changes:
    extract = TariffList(task_id="extract", source=lambda: ["+12025550100"], names=("tel",))
    listed = extract.output
    fetch = TariffFetch(
        task_id="fetch", parameters=listed, request=Request(endpoint="/calls/{tel}"), http_conn_id="call_api"
    )
    validate = TariffChecks(task_id="validate", parameters=listed)
    load = TariffLoad(task_id="load", parameters=listed, database="reports", collection="tariff_changes", key=("tel",))
    extract >> fetch >> validate >> load

with DAG("no_report", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC)) as no_report:
    pass
