"""# Daily call summary

One document per day in `reports.daily_summary`: how many subscribers, how many of them silent, calls and seconds.
MongoDB makes it from `reports.daily_calls`, each time that a daily call report has been loaded there.

Triggered by hand, it summarises every day that Airflow remembers to have been loaded.

Make it your own: change the collections, and the sums in `summary_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, task

from airflow_fanout import collection_asset

CALLS = collection_asset("mongo_default", "reports", "daily_calls")
SUMMARY = collection_asset("mongo_default", "reports", "daily_summary")


def summary_of(day: str, as_of: datetime) -> list[dict[str, Any]]:
    """Return the aggregation that puts a day's document, its key the run's date, in the place of an older one."""
    silent = {"$cond": [{"$eq": ["$calls", 0]}, 1, 0]}
    sums = {"subscribers": 1, "silent": silent, "calls": "$calls", "seconds": "$seconds"}
    return [
        {"$match": {"as_of": as_of}},
        {"$group": {"_id": "$as_of", **{name: {"$sum": what} for name, what in sums.items()}}},
        {"$set": {"day": day}},
        {"$merge": {"into": "daily_summary", "on": "_id", "whenMatched": "replace"}},
    ]


def days_of(events: Iterable[Any]) -> dict[str, str]:
    """Return the days that loads tell of, by their runs' dates; an event made by hand tells of none."""
    return {event.extra["as_of"]: event.extra["day"] for event in events if "day" in event.extra}


with DAG("daily_call_summary", schedule=[CALLS], catchup=False, tags=["fanout", "report"], doc_md=__doc__) as dag:

    @task(inlets=[CALLS], outlets=[SUMMARY], retries=2)
    def summarise(**context: Any) -> list[str]:
        """Summarise the days that were loaded, and return them."""
        from airflow.providers.mongo.hooks.mongo import MongoHook

        loads = context["inlet_events"][CALLS]
        # Airflow makes one run for events that come closely together, and may leave the last of them out of the run's
        # own: whatever was loaded since the first of them is summarised.
        if triggering := context["triggering_asset_events"].get(CALLS):
            loads = loads.after(min(event.timestamp for event in triggering).isoformat())
        days = days_of(loads)
        with MongoHook(mongo_conn_id="mongo_default") as hook:
            for as_of, day in days.items():
                pipeline = summary_of(day, datetime.fromisoformat(as_of))
                hook.get_collection("daily_calls", mongo_db="reports").aggregate(pipeline)
        return sorted(days.values())

    summarise()
