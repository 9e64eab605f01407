"""The message that a report is good again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from airflow_fanout.alerts.message import Alert, AlertLink, Pages, Piece, Say, alert, day
from airflow_fanout.staging.open_failures import OpenFailure, ReportRun


def recovered(run: ReportRun, failures: Sequence[OpenFailure], zone: tzinfo, pages: Pages) -> Alert:
    """Return the message about a good run that ends failures, the oldest of them first; there is at least one."""
    return alert(f"{pages.dag_id} is good again: {day(run.as_of, zone)} is loaded", _pieces(run, failures, zone, pages))


def _pieces(run: ReportRun, failures: Sequence[OpenFailure], zone: tzinfo, pages: Pages) -> Iterator[Piece]:
    since = failures[0].since.astimezone(zone)
    yield Say(f"It had been failing since {since:%Y-%m-%d %H:%M} ({since.tzname()}).")
    yield AlertLink("Run", pages.run(run.run_id))
    for failure in failures:
        if not failure.is_completed_by(run):
            yield Say(f"{day(failure.as_of, zone)} is still missing. To load it, clear that run's failed task.")
            yield AlertLink("Failed run", pages.run(failure.run_id))
    yield AlertLink("Report", pages.report)
