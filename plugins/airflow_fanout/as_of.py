"""The run's one date."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Run(Protocol):
    """The part of Airflow's dag run that says when it is for."""

    @property
    def logical_date(self) -> datetime | None: ...  # noqa: D102 - Airflow's names
    @property
    def data_interval_start(self) -> datetime | None: ...  # noqa: D102
    @property
    def run_after(self) -> datetime: ...  # noqa: D102


def as_of(run: Run) -> datetime:
    """Return the moment that a run is about, in UTC, to the millisecond, which is what MongoDB keeps.

    The logical date; a run that has none (triggered by hand or by an asset) has its data interval's start;
    one that has neither, the time at which it was triggered.
    """
    moment = run.logical_date or run.data_interval_start or run.run_after
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
