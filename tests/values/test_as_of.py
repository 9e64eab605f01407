from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from airflow_fanout.as_of import as_of

LOGICAL = datetime(2026, 11, 22, tzinfo=UTC)
START = datetime(2026, 11, 21, tzinfo=UTC)
TRIGGERED = datetime(2026, 11, 23, 6, 15, 7, 123_999, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """The dates that a dag run has."""

    logical_date: datetime | None
    data_interval_start: datetime | None
    run_after: datetime = TRIGGERED


def test_the_logical_date_comes_first() -> None:
    """A scheduled or backfilled run is about its logical date."""
    assert as_of(Run(LOGICAL, START)) == LOGICAL


def test_without_a_logical_date_the_interval_counts() -> None:
    """A run that has only a data interval is about its start."""
    assert as_of(Run(None, START)) == START


def test_a_run_without_dates_is_about_when_it_was_triggered() -> None:
    """A run triggered by hand or by an asset is about that moment, to MongoDB's millisecond."""
    assert as_of(Run(None, None)) == TRIGGERED.replace(microsecond=123_000)


def test_the_moment_is_in_utc() -> None:
    """A date in another time zone is the same moment in UTC: one run has one key."""
    there = LOGICAL.astimezone(timezone(timedelta(hours=5, minutes=30)))
    found = as_of(Run(there, None))
    assert (found, found.tzinfo) == (LOGICAL, UTC)
