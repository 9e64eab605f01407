"""All subscribers, with little patience for those that don't answer."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG
from subscribers import DAY

from airflow_fanout import FanoutTaskGroup, HttpList, Request, Retry, Timeouts
from airflow_fanout.api.paging import NextLink

with DAG("three_bad", schedule=None, default_args={"retries": 2, "retry_delay": timedelta(seconds=1)}) as dag:
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={
            "source": HttpList(
                http_conn_id="call_api", endpoint="/subscribers", items="subscribers", pages=NextLink(field="next")
            ),
            "names": ("tel",),
        },
        fetch={
            "request": Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls"),
            "http_conn_id": "call_api",
            "concurrency": 100,
            "timeouts": Timeouts(total_s=2.0),
            "retry": Retry(max_attempts=2, initial_delay_s=0.1),
        },
        load={"database": "tests", "collection": "three_bad", "key": ("tel",)},
    )
