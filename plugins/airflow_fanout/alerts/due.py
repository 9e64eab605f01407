"""When a report should have been loaded."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


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
