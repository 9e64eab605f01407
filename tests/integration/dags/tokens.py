"""Reports on APIs that are opened by what changes: by tokens, for the list and two shards, and by a password."""

from __future__ import annotations

from airflow.sdk import DAG
from subscribers import DAY, some

from airflow_fanout import FanoutTaskGroup, HttpList, Request

CALLS = Request(endpoint="/calls/{tel}", query={"day": DAY}, result="calls")

with DAG("tokens", schedule=None) as tokens:
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={"source": HttpList(http_conn_id="tokens_api", endpoint="/subscribers.json"), "shards": 2},
        fetch={"request": CALLS, "http_conn_id": "tokens_api"},
        load={"database": "tests", "collection": "tokens", "key": ("tel",)},
    )

with DAG("changed", schedule=None, params={"first": 0, "count": 60, "refetch": False}) as changed:
    FanoutTaskGroup(
        "report",
        prefix_group_id=False,
        extract={"source": some, "names": ("tel",)},
        fetch={"request": CALLS, "http_conn_id": "changing_api", "concurrency": 4},
        load={"database": "tests", "collection": "changed", "key": ("tel",)},
    )
