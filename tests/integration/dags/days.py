"""A report about days in the time zone where they begin first, triggered by hand."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, Param
from subscribers import some

from airflow_fanout import FanoutTaskGroup, Request

with DAG(
    "days",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=ZoneInfo("Pacific/Kiritimati")),
    params={
        "first": 1200,
        "count": 3,
        "day": Param(None, type=["null", "string"], format="date"),
        "concurrency": Param(None, type=["null", "integer"], minimum=1, maximum=1000),
    },
) as dag:
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={"source": some, "names": ("tel",)},
        fetch={
            "request": Request(
                endpoint="/calls/{tel}",
                query={"day": "{{ macros.fanout.day() }}", "as_of": "{{ macros.fanout.as_of().isoformat() }}"},
                result="calls",
            ),
            "http_conn_id": "call_api",
            "concurrency": "{{ params.concurrency or 2 }}",
        },
        load={"database": "tests", "collection": "days", "key": ("tel",)},
    )
