"""Requests as functions: where an author may define them, and one that can't travel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG
from subscribers import DAY, calls_of, some

from airflow_fanout import FanoutTaskGroup

if TYPE_CHECKING:
    import requests


def defined_here(session: requests.Session, tel: str) -> int:
    """Return how many calls a subscriber made; prints, as a script would."""
    print("asking for somebody's calls")
    answer = session.get(f"/calls/{tel}", params={"day": DAY})
    answer.raise_for_status()
    return len(answer.json()["calls"])


def counting() -> Callable[..., int]:
    """Return a function that holds a lock."""
    lock = threading.Lock()

    def count(session: requests.Session, tel: str) -> int:
        with lock:
            return len(calls_of(session, tel))

    return count


def report(dag_id: str, request: Callable[..., Any], first: int) -> DAG:
    """Make a DAG of ten subscribers of its own."""
    with DAG(
        dag_id,
        schedule=None,
        default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
        params={"first": first, "count": 10},
    ) as dag:
        FanoutTaskGroup(
            "report",
            prefix_group_id=False,
            extract={"source": some},
            fetch={"request": request, "http_conn_id": "call_api", "concurrency": 5},
            load={"database": "tests", "collection": dag_id, "key": ("parameter",)},
        )
    return dag


here = report("function_here", defined_here, 0)
imported = report("function_imported", calls_of, 10)
short = report("function_lambda", lambda session, tel: [tel[-2:], len(calls_of(session, tel))], 20)
locked = report("function_locked", counting(), 30)
