"""# Crawl of the call logs

The API's call log, week by week: each parameter is a date range, a tuple of two; a function asks for its calls and
returns them as a list of tuples; each tuple becomes one document in `reports.call_log`.

Make it your own: change `weeks`, the address in `fetch_calls`, and the fields in `rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import requests
from airflow.sdk import DAG, Param

from airflow_fanout import FanoutTaskGroup, Timeouts


def weeks(as_of: datetime, params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the weeks before the run's date as ranges of days, each from its first day to the one after its last."""
    end = as_of.date()
    for back in range(params["weeks"], 0, -1):
        start = end - timedelta(weeks=back)
        yield start.isoformat(), (start + timedelta(weeks=1)).isoformat()


def fetch_calls(session: requests.Session, start: str, end: str) -> list[tuple[str, str, str, int]]:
    """Return the calls that began in a range of days, [start, end)."""
    answer = session.get("/call-log", params={"start": start, "end": end})
    answer.raise_for_status()
    return [(row["tel"], row["at"], row["to"], row["seconds"]) for row in answer.json()["rows"]]


def rows(_span: list[str], calls: list[tuple[str, str, str, int]]) -> Iterator[dict[str, Any]]:
    """Yield one document per call."""
    for tel, at, to, seconds in calls:
        yield {
            "tel": tel,
            "at": datetime.fromisoformat(at),
            "to": to,
            "seconds": seconds,
            "day": date.fromisoformat(at[:10]).isoformat(),
        }


with DAG(
    "crawl_call_logs",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["fanout", "crawl"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    params={
        "weeks": Param(
            4, type="integer", minimum=1, maximum=520, description="How many weeks, back from the run's date."
        ),
    },
) as dag:
    FanoutTaskGroup(
        "calls",
        extract={"source": weeks},
        fetch={
            "request": fetch_calls,
            "http_conn_id": "call_api",
            "concurrency": 8,
            "timeouts": Timeouts(total_s=120.0),
        },
        load={"database": "reports", "collection": "call_log", "key": ("tel", "at"), "document": rows},
    )
