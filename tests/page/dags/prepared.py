"""Reports whose runs are put into Airflow's database in the states that the page shows: none of them ever runs."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_fanout import FanoutTaskGroup, Request

NIGHTLY = CronDataIntervalTimetable("0 0 * * *", timezone="UTC")


def report(dag_id: str, shards: int | None = None) -> DAG:
    """Make a report."""
    with DAG(dag_id, schedule=NIGHTLY, start_date=datetime(2025, 1, 1, tzinfo=UTC), catchup=False) as dag:
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
meter_readings = report("meter_readings")
tariff_changes = report("tariff_changes")
sharded_report = report("subscriber_usage", shards=8)
hostile = report("hostile")
# The one that a test clears.
payment_terms = report("payment_terms")

with DAG("no_report", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC)) as no_report:
    pass
