"""The project's daily report by another name, for a few subscribers, and what it has to come to for a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from harness.airflow import AirflowClient
from harness.numbers import numbers
from harness.service.calls import calls_of
from tests.integration.runs import Run

DAGS = Path(__file__).parents[2] / "dags"
ZONE = ZoneInfo("Europe/Berlin")
SEED = 7
FEW = 6


def report(dag_id: str, collection: str) -> str:
    """Return the report's DAG file, of another name, with a collection of its own and without retries."""
    return changed(
        "daily_call_report.py",
        {
            '"daily_call_report"': f'"{dag_id}"',
            '"limit": Param(\n            None,': f'"limit": Param(\n            {FEW},',
            'collection="daily_calls"': f'collection="{collection}"',
            '"retries": 2': '"retries": 0',
        },
    )


def changed(file: str, changes: Mapping[str, str]) -> str:
    """Return a DAG file of the project with some of its texts replaced."""
    source = (DAGS / file).read_text()
    for old, new in changes.items():
        assert old in source, old
        source = source.replace(old, new)
    return source


def midnight(day: date) -> datetime:
    """Return the moment at which a day begins in the report's time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=ZONE)


def expected(day: date) -> list[dict[str, Any]]:
    """Return a day's documents, as the service's own calls have them."""
    of_day = {tel: calls_of(SEED, tel, day) for tel in numbers(FEW)}
    return [
        {
            "as_of": midnight(day).astimezone(UTC),
            "tel": tel,
            "calls": len(calls),
            "seconds": sum(call.seconds for call in calls),
            "numbers": len({call.to for call in calls}),
        }
        for tel, calls in sorted(of_day.items())
    ]


def backfilled(client: AirflowClient, dag_id: str, first: date, last: date, **options: Any) -> None:
    """Backfill a range of days through the API, and wait for its end."""
    client.create_backfill(dag_id, midnight(first), midnight(last), **options)
    all_ended(client, dag_id)


def all_ended(client: AirflowClient, dag_id: str) -> None:
    """Wait until all backfills of a DAG are completed, and all its runs have succeeded."""
    client.wait_backfills(dag_id)
    for run in client.runs(dag_id):
        Run(client, dag_id, run["dag_run_id"]).succeeded()
