"""When a report should have been loaded."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_fanout.errors import BadSetting


def to_time(field: str, value: str | time) -> time:
    """Return a time of the day, which may be written as "08:00"."""
    try:
        moment = value if isinstance(value, time) else time.fromisoformat(value)
    except ValueError:
        raise BadSetting(field, value, 'a time of the day, such as "08:00"') from None
    if moment.tzinfo is not None:
        raise BadSetting(field, value, "a time of the day without a zone; the zone is `timezone`")
    return moment


def to_zone(field: str, name: str) -> ZoneInfo:
    """Return a time zone by its name.

    :param field: the argument that names it, for the error.
    :raises BadSetting: for a name that the machine's time zones don't have.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, IsADirectoryError):
        raise BadSetting(field, name, 'the name of a time zone, such as "Europe/Berlin"') from None


def due(run_after: datetime, at: time, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the moment by which a run should be done, in UTC: the first such time of the day after it could begin.

    By the clock on the wall, also when the day has 23 or 25 hours. `None` if that moment has passed: a run that is
    created after its deadline can't meet it, so a message about it would be false.
    """
    day = run_after.astimezone(zone).date()
    # In UTC: between two moments of the same zone, Python counts the clock's hours, not the real ones.
    moment = datetime.combine(day, at, zone).astimezone(UTC)
    if moment <= run_after:
        moment = datetime.combine(day + timedelta(days=1), at, zone).astimezone(UTC)
    return moment if moment > now else None
