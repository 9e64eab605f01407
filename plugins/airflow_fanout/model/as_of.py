"""What a run is about: its one date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal, Protocol

import msgspec

from airflow_fanout.errors import BadSetting

# The DAG's param that names a day, and makes the DAG's report one about days.
PARAM = "day"
# Kinds of runs whose day is their own, whatever their params say.
OWN_DAY = ("scheduled", "backfill")

# Where a context holds the date of an earlier run, for which this one asks what that one has left out.
HELD = "fanout_as_of"

Source = Literal["params.day", "data_interval", "logical_date", "run_after"]


class RunDates(Protocol):
    """The part of Airflow's dag run that says when it is for."""

    @property
    def logical_date(self) -> datetime | None: ...  # noqa: D102 - Airflow's names
    @property
    def data_interval_start(self) -> datetime | None: ...  # noqa: D102
    @property
    def data_interval_end(self) -> datetime | None: ...  # noqa: D102
    @property
    def run_after(self) -> datetime: ...  # noqa: D102
    @property
    def run_type(self) -> str: ...  # noqa: D102


class AsOf(msgspec.Struct, frozen=True, kw_only=True):
    """The one date of a run, which is the same each time that the run is repeated.

    :param moment: in UTC, to the millisecond, which is what MongoDB keeps.
    :param day: its day in the DAG's time zone, in ISO 8601.
    :param source: what it was taken from.
    """

    moment: datetime
    day: str
    source: Source


def of_context(context: Mapping[str, Any]) -> AsOf:
    """Return what the run of a task's context is about, or the earlier one that it asks again for; see `of_run`."""
    if (held := context.get(HELD)) is not None:
        as_of: AsOf = held
        return as_of
    return of_run(context["dag_run"], context["params"], context["dag"].timezone)


def of_run(run: RunDates, params: Mapping[str, Any], zone: tzinfo) -> AsOf:
    """Return what a run is about.

    A DAG that has a param `day` reports about days: its run's moment is the begin of a day in the DAG's time zone. The
    day is the one that the param names, else the last that had ended when the run's data interval ended; a run without
    one (triggered by hand without a logical date, or by an asset) takes the time at which it was triggered.

    Any other run is about its logical date; without one, about the time at which it was triggered.

    :raises BadSetting: when the param isn't a day that has ended, or is given to a scheduled or backfilled run.
    """
    try:
        if PARAM not in params:
            return _of_moment(run, zone)
        day, source = _day(run, params[PARAM], zone)
        return AsOf(moment=datetime.combine(day, time(), zone).astimezone(UTC), day=day.isoformat(), source=source)
    except OverflowError as error:
        # At the ends of the calendar, another time zone's date is beyond the year 1 or 9999.
        field, value = ("params.day", params[PARAM]) if params.get(PARAM) else ("the run's date", str(_moment(run)[0]))
        raise BadSetting(field, value, f"a day that has a date in UTC and in {zone}, in the years 2 to 9998") from error


def _of_moment(run: RunDates, zone: tzinfo) -> AsOf:
    moment, source = _moment(run)
    moment = moment.astimezone(UTC)
    return AsOf(
        moment=moment.replace(microsecond=moment.microsecond // 1000 * 1000),
        day=moment.astimezone(zone).date().isoformat(),
        source=source,
    )


def _moment(run: RunDates) -> tuple[datetime, Source]:
    if run.logical_date:
        return run.logical_date, "logical_date"
    if run.data_interval_start:
        return run.data_interval_start, "data_interval"
    return run.run_after, "run_after"


def _day(run: RunDates, requested: object, zone: tzinfo) -> tuple[date, Source]:
    if requested is None:
        source: Source = "data_interval" if run.data_interval_end else "run_after"
        return _last_ended(run.data_interval_end or run.run_after, zone), source
    for kind in OWN_DAY:
        if run.run_type == kind:
            # One value for all days of a backfill would load them all into one.
            raise BadSetting("params.day", requested, f"null in a {kind} run, which is about a day of its own")
    day = _parsed(requested)
    last = _last_ended(run.run_after, zone)
    if day > last:
        raise BadSetting("params.day", requested, f"a day that has ended in {zone}, the last of which is {last}")
    return day, "params.day"


def _last_ended(moment: datetime, zone: tzinfo) -> date:
    """Return the last day of a time zone that had ended at a moment; at midnight, the one that ends there."""
    return moment.astimezone(zone).date() - timedelta(days=1)


def _parsed(text: object) -> date:
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        day = None
    # fromisoformat also reads 20261122 and 2026-W47-7.
    if day is None or day.isoformat() != text:
        raise BadSetting("params.day", text, "a date such as 2026-11-22, or null")
    return day
