"""A report of some subscribers, chosen when it is triggered: plain, with limits of time, and in three shards."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG
from subscribers import DAY, some

from airflow_fanout import FanoutTaskGroup, Request, Retry

CALLS = Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls")


def report(dag_id: str, *, retries: int = 0, shards: int | None = None, request: Request = CALLS, **fetch: Any) -> DAG:
    """Make a DAG that asks for ten subscribers at a time."""
    with DAG(
        dag_id,
        schedule=None,
        default_args={"retries": retries, "retry_delay": timedelta(seconds=1)},
        params={"first": 0, "count": 500, "refetch": False},
    ) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": some, "names": ("tel",), "shards": shards},
            fetch={
                "request": request,
                "http_conn_id": "call_api",
                "concurrency": 10,
                "refetch": "{{ params.refetch }}",
                **fetch,
            },
            load={"database": "tests", "collection": dag_id, "key": ("tel",)},
        )
    return dag


plain = report("slice")
limited = report("slice_limited", execution_timeout=timedelta(seconds=12))
impatient = report("slice_impatient", retry=Retry(max_retry_after_s=2.0))
# Its connection has a budget with a small quota, for which it waits longer than it may work.
budgeted = report(
    "slice_budgeted",
    http_conn_id="quota_api",
    retry=Retry(max_retry_after_s=1.0),
    execution_timeout=timedelta(seconds=20),
)
nowhere = report("slice_nowhere", request=Request(endpoint="/nothing/{tel}"), retries=2)
metered = report("slice_metered", concurrency=1)
missing = report("slice_missing", request=Request(endpoint="/nothing/{tel}"))
sharded = report("slice_sharded", shards=3, retries=1)
