"""A report whose long waits nobody ends in time but Airflow's scheduler, as without a triggerer."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from subscribers import DAY, some

from airflow_fanout import FanoutTaskGroup, Request, Retry
from airflow_fanout.adapters import deferral

# The triggerer would wait for ten minutes; the scheduler gives the wait up after a quarter of a minute.
deferral.OVERDUE = timedelta(seconds=-585)

with DAG("unattended", schedule=None, params={"first": 0, "count": 500}):
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={"source": some, "names": ("tel",)},
        fetch={
            "request": Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls"),
            "http_conn_id": "call_api",
            "concurrency": 10,
            "retry": Retry(max_retry_after_s=2.0),
        },
        load={"database": "tests", "collection": "unattended", "key": ("tel",)},
    )
