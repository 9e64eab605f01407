"""Times of the day and time zones, as people write them."""

from __future__ import annotations

from datetime import time
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
