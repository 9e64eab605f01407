"""How many requests an API sells per day, per month or in a rolling window, and when it sells more.

Moments are whole microseconds since 1970 in UTC (`_us`), of whoever keeps the count. Requests are counted in *buckets*:
a calendar quota has one bucket for each period, a rolling window about `BUCKETS` of them. A bucket counts until all of
its moments have left the window, so no window, wherever it begins, has more requests than the quota.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.clock import to_zone
from airflow_fanout.model.declared import Declared
from airflow_fanout.model.settings import check_whole

SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A rolling window is divided by this number; the last part of it that has begun counts as a whole.
BUCKETS = 60
SHORTEST_WINDOW_S = 1
LONGEST_WINDOW_S = 366 * 86_400

PERIODS = ("day", "month")
# What was counted: the start of each bucket, and its requests, in order.
Counts: TypeAlias = tuple[tuple[int, int], ...]


class Quota(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most this number of requests in each period. Every request counts: retries, pages, halves of batches.

    :param requests: the number of requests.
    :param per: `"day"`, `"month"`, or the seconds of a rolling window.
    :param timezone: the zone in which days and months begin.
    :param starts: when the first period begins, in that zone, such as `"2026-11-15T06:00"`; the others begin at the
        same time of the day, and on the same day of the month or on its last day. By default at midnight, and on the
        first.
    """

    requests: int
    per: str | int | float
    timezone: str = "UTC"
    starts: str | None = None

    def __post_init__(self) -> None:
        check_whole("quota.requests", self.requests)
        is_window = _is_window(self.per)
        to_zone("quota.timezone", self.timezone)
        if self.starts is None:
            return
        if is_window:
            raise BadSetting("quota.starts", self.starts, 'nothing: only quotas per "day" or "month" have a start')
        _anchor(self.starts)

    def __str__(self) -> str:
        if isinstance(self.per, str):
            return f"{self.requests:,} requests per {self.per} ({self.timezone})"
        return f"{self.requests:,} requests in any {self.per:,.10g} s"

    @property
    def key(self) -> str:
        """What its counts are kept under: they go on when only the number of requests is changed."""
        return self.per if isinstance(self.per, str) else f"{self._window_us} us"

    def bucket_us(self, at_us: int) -> int:
        """Return the start of the bucket in which a request at a moment counts."""
        if self.width_us:
            return at_us - at_us % self.width_us
        return self.period(at_us)[0]

    def leaves_us(self, bucket_us: int) -> int:
        """Return the moment from which on the requests of a bucket count no longer, from the bucket's start."""
        if self.width_us:
            return bucket_us + self.width_us + self._window_us
        return self.period(bucket_us)[1]

    def period(self, at_us: int) -> tuple[int, int]:
        """Return the start and the end of a calendar quota's period at a moment; the end belongs to the next one."""
        starts = _boundaries(str(self.per), self.timezone, self.starts, at_us // (3_600 * SECOND_US))
        place = bisect_right(starts, at_us)
        return starts[place - 1], starts[place]

    @property
    def _window_us(self) -> int:
        """The length of a rolling window; 0 for a calendar quota."""
        return 0 if isinstance(self.per, str) else int(self.per * SECOND_US)

    @property
    def width_us(self) -> int:
        """The length of a rolling window's buckets; 0 for a calendar quota."""
        return self._window_us // BUCKETS

    # --- counting ---------------------------------------------------------------------------------------

    def left(self, counts: Counts, at_us: int) -> int:
        """Return how many requests may still be sent at a moment.

        :param counts: what was counted in each bucket, by the bucket's start.
        """
        used = sum(number for bucket_us, number in counts if self.leaves_us(bucket_us) > at_us)
        return max(0, self.requests - used)

    def renewal_us(self, counts: Counts, at_us: int, wanted: int) -> int:
        """Return the first moment from `at_us` on at which `wanted` requests may be sent, at most the whole quota."""
        wanted = min(wanted, self.requests)
        leaving = sorted(self.leaves_us(bucket_us) for bucket_us, _ in counts)
        moments = [at_us, *(moment_us for moment_us in leaving if moment_us > at_us)]
        return next(moment_us for moment_us in moments if self.left(counts, moment_us) >= wanted)

    def taken(self, counts: Counts, number: int, at_us: int, now_us: int) -> Counts:
        """Return the counts after a number of requests was reserved that are sent at a moment, the last of them.

        :param number: below 0 for requests that were reserved for that moment, and are given back.
        :param now_us: what has left the window by then is forgotten.
        """
        kept = {bucket_us: before for bucket_us, before in counts if self.leaves_us(bucket_us) > now_us}
        bucket_us = self.bucket_us(at_us)
        # What is given back after its bucket was forgotten counts nowhere any more.
        kept[bucket_us] = max(0, kept.get(bucket_us, 0) + number)
        return tuple(sorted((start_us, used) for start_us, used in kept.items() if used))


def _is_window(per: object) -> bool:
    """Return whether a quota is for a rolling window, and not for a day or a month.

    :raises BadSetting: for what is neither.
    """
    if isinstance(per, str) and per in PERIODS:
        return False
    is_number = isinstance(per, int | float) and not isinstance(per, bool)
    if is_number and SHORTEST_WINDOW_S <= per <= LONGEST_WINDOW_S:  # type: ignore[operator] # it is a number
        return True
    expected = f'"day", "month", or the seconds of a rolling window, from 1 to {LONGEST_WINDOW_S:,}, such as 3600'
    raise BadSetting("quota.per", per, expected)


def _anchor(text: object) -> datetime:
    """Return the first moment of a quota, without a zone.

    :raises BadSetting: for what isn't a date with or without a time, or has a zone of its own.
    """
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type] # anything may stand in JSON
    except (TypeError, ValueError):
        raise BadSetting("quota.starts", text, 'a date with or without a time, such as "2026-11-15T06:00"') from None
    if moment.tzinfo is not None:
        raise BadSetting("quota.starts", text, "a moment without a zone; the zone is `timezone`")
    return moment


def to_us(moment: datetime) -> int:
    """Return a moment that has a time zone as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(moment_us: int) -> datetime:
    """Return a moment in UTC."""
    return _EPOCH + timedelta(microseconds=moment_us)


@lru_cache(maxsize=64)
def _boundaries(per: str, timezone: str, starts: str | None, hour: int) -> Sequence[int]:
    """Return the starts of the periods around an hour since 1970, in order: at least one before and one after it.

    In a night in which the clock changes, the start is the first moment that the clock shows this time, or the one
    after the gap. A day that a zone has left out has no period.
    """
    zone = ZoneInfo(timezone)
    first = _anchor(starts) if starts else datetime(2000, 1, 1)  # noqa: DTZ001 - the zone is the quota's
    today = (_EPOCH + timedelta(hours=hour)).astimezone(zone).date()
    days = [today + timedelta(days=step) for step in range(-2, 4)]
    if per == "month":
        days = [_day_of_month(today, step, first.day) for step in range(-2, 4)]
    return sorted({to_us(datetime.combine(day, first.time(), zone).astimezone(UTC)) for day in days})


def _day_of_month(today: date, step: int, day: int) -> date:
    """Return that day of the month that is `step` months after today's, or the month's last day."""
    year, month = divmod(today.year * 12 + today.month - 1 + step, 12)
    next_year, next_month = divmod(year * 12 + month + 1, 12)
    last = date(next_year, next_month + 1, 1) - timedelta(days=1)
    return last.replace(day=min(day, last.day))
