"""Hours in which nothing is sent to an API. Moments are microseconds since 1970, as in `control.quota`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from airflow_fanout.control.quota import from_us, to_us
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.clock import to_zone
from airflow_fanout.model.declared import Declared

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d-(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)")
# Hours that follow each other without a gap for longer than a week leave no moment to send at.
_LONGEST = timedelta(days=8)


class QuietHours(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours of the day in which nothing is sent. What was sent before may still be answered in them.

    :param hours: from when until when, such as `"22:00-06:00"`; `"00:00-24:00"` is a whole day.
    :param timezone: the zone of these times.
    :param days: the days on which they begin, such as `("sat", "sun")`.
    """

    hours: str
    timezone: str = "UTC"
    days: tuple[str, ...] = DAYS

    def __post_init__(self) -> None:
        is_readable = isinstance(self.hours, str) and _HOURS.fullmatch(self.hours)
        if not is_readable or self.hours[:5] == self.hours[6:]:
            expected = 'two different times of the day, such as "22:00-06:00", or "00:00-24:00" for whole days'
            raise BadSetting("quiet_hours.hours", self.hours, expected)
        to_zone("quiet_hours.timezone", self.timezone)
        unknown = [day for day in self.days if day not in DAYS] if isinstance(self.days, list | tuple) else [self.days]
        if unknown or not self.days:
            shown = unknown[0] if unknown else self.days
            raise BadSetting("quiet_hours.days", shown, f"a list of days, each one of {', '.join(DAYS)}")

    def __str__(self) -> str:
        days = "" if set(self.days) == set(DAYS) else f" on {', '.join(self.days)}"
        return f"{self.hours}{days} ({self.timezone})"

    def around(self, at_us: int) -> Iterator[tuple[int, int]]:
        """Yield the start and the end of each quiet time that isn't over at a moment and begins in the next eight days.

        In a night in which the clock changes, the longer of the possible times counts.
        """
        zone = ZoneInfo(self.timezone)
        today = from_us(at_us).astimezone(zone).date()
        first, last = self.hours.split("-")
        begin, is_midnight = time.fromisoformat(first), last == "24:00"
        end = time() if is_midnight else time.fromisoformat(last)
        for step in range(-2, 9):
            day = today + timedelta(days=step)
            if DAYS[day.weekday()] not in self.days:
                continue
            start_us = min(_readings_us(day, begin, zone))
            end_us = max(_readings_us(day + timedelta(days=end <= begin), end, zone))
            if end_us > at_us:
                yield start_us, end_us


def _readings_us(day: date, at: time, zone: ZoneInfo) -> tuple[int, ...]:
    """Return the moments that a time on the wall may mean: two in the hour that a night has twice, or leaves out."""
    return tuple(to_us(datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC)) for fold in (0, 1))


def open_us(quiet: Sequence[QuietHours], at_us: int) -> int:
    """Return the first moment from `at_us` on that isn't quiet.

    :raises BadSetting: if there is none within eight days.
    """
    moment_us = at_us
    while moment_us < at_us + _LONGEST // timedelta(microseconds=1):
        ends = [end for hours in quiet for start, end in hours.around(moment_us) if start <= moment_us]
        if not ends:
            return moment_us
        moment_us = max(ends)
    shown = ", ".join(hours.hours for hours in quiet)
    raise BadSetting("quiet_hours", shown, "hours that leave some time to send requests at")


def next_quiet_us(quiet: Sequence[QuietHours], at_us: int) -> int | None:
    """Return the start of the first quiet time that begins after a moment, within eight days; `None` without any."""
    starts = (start for hours in quiet for start, _ in hours.around(at_us) if start > at_us)
    return min(starts, default=None)
