"""Quotas by the calendar and in rolling windows: which period a moment is in, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_fanout.control.quota import BUCKETS, Counts, Quota, from_us, to_us
from airflow_fanout.errors import BadSetting

S = 1_000_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu")
STARTS = (None, "2026-01-31", "2024-02-29T06:00", "2026-03-29T02:30", "2026-10-25T02:30:15")
# From 1980 to 2199.
MOMENTS = st.integers(315_532_800 * S, 7_226_582_400 * S)


def moment(text: str, zone: str = "UTC") -> int:
    """Return a moment in a zone, in microseconds."""
    return to_us(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))


def period(quota: Quota, at: str, zone: str = "UTC") -> tuple[str, str]:
    """Return the period at a moment, in the quota's zone."""
    start_us, end_us = quota.period(moment(at, zone))
    shown = [from_us(us).astimezone(ZoneInfo(quota.timezone)) for us in (start_us, end_us)]
    return shown[0].isoformat(timespec="minutes"), shown[1].isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("at", "start", "end"),
    [
        ("2026-11-26T00:00", "2026-11-26T00:00+01:00", "2026-11-27T00:00+01:00"),
        ("2026-11-25T23:59:59", "2026-11-25T00:00+01:00", "2026-11-26T00:00+01:00"),
        # Days of 23 and 25 hours.
        ("2026-03-29T12:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("2026-10-25T12:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
    ],
)
def test_a_day_begins_at_midnight_of_its_zone(at: str, start: str, end: str) -> None:
    """Also on the days on which the clock changes."""
    quota = Quota(requests=10, per="day", timezone="Europe/Berlin")
    assert period(quota, at, "Europe/Berlin") == (start, end)


@pytest.mark.parametrize(
    ("at", "start", "end"),
    [
        ("2026-02-10", "2026-01-31T00:00+00:00", "2026-02-28T00:00+00:00"),
        ("2026-02-28", "2026-02-28T00:00+00:00", "2026-03-31T00:00+00:00"),
        ("2028-02-29", "2028-02-29T00:00+00:00", "2028-03-31T00:00+00:00"),
        ("2028-02-28", "2028-01-31T00:00+00:00", "2028-02-29T00:00+00:00"),
        ("2026-12-31", "2026-12-31T00:00+00:00", "2027-01-31T00:00+00:00"),
        ("2026-04-30", "2026-04-30T00:00+00:00", "2026-05-31T00:00+00:00"),
    ],
)
def test_a_month_that_began_on_the_31st_begins_on_the_last_day_of_shorter_ones(at: str, start: str, end: str) -> None:
    """In leap years too, and on the 31st again where there is one."""
    assert period(Quota(requests=10, per="month", starts="2026-01-31"), at) == (start, end)


def test_a_first_moment_moves_the_periods_before_and_after_it() -> None:
    """A day from six to six; a month from the 15th at noon."""
    day = Quota(requests=10, per="day", timezone="Europe/Berlin", starts="2026-11-15T06:00")
    assert period(day, "2026-11-26T05:59", "Europe/Berlin") == ("2026-11-25T06:00+01:00", "2026-11-26T06:00+01:00")
    month = Quota(requests=10, per="month", starts="2026-11-15T12:00")
    assert period(month, "2026-01-02") == ("2025-12-15T12:00+00:00", "2026-01-15T12:00+00:00")


def test_a_day_that_a_zone_has_left_out_has_no_period() -> None:
    """Samoa went from the 29th to the 31st of December 2011."""
    quota = Quota(requests=10, per="day", timezone="Pacific/Apia")
    assert period(quota, "2011-12-31T12:00", "Pacific/Apia")[0] == "2011-12-31T00:00+14:00"
    assert period(quota, "2011-12-29T12:00", "Pacific/Apia")[0] == "2011-12-29T00:00-10:00"
    from_six = Quota(requests=10, per="day", timezone="Pacific/Apia", starts="2011-01-01T06:00")
    assert period(from_six, "2011-12-31T05:00", "Pacific/Apia")[0] == "2011-12-29T06:00-10:00"


def test_a_month_begins_on_the_first() -> None:
    """Unless a first moment says otherwise."""
    first, next_first = "2026-11-01T00:00+00:00", "2026-12-01T00:00+00:00"
    assert period(Quota(requests=10, per="month"), "2026-11-01T00:00") == (first, next_first)
    assert period(Quota(requests=10, per="month"), "2026-11-30T23:59") == (first, next_first)


def test_moments_and_the_names_of_quotas_are_the_same_for_all_versions() -> None:
    """They are kept in MongoDB, where a quota's counts are found by its period."""
    assert to_us(datetime(1970, 1, 2, tzinfo=UTC)) == 86_400 * S
    assert from_us(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert [Quota(requests=1, per=per).key for per in ("day", "month", 3_600)] == ["day", "month", "3600000000 us"]


@given(
    at=MOMENTS,
    per=st.sampled_from(["day", "month"]),
    timezone=st.sampled_from(ZONES),
    starts=st.sampled_from(STARTS),
)
def test_every_moment_is_in_exactly_one_period(at: int, per: Any, timezone: str, starts: str | None) -> None:
    """Periods follow each other without a gap, and have the length of a day or a month."""
    quota = Quota(requests=1, per=per, timezone=timezone, starts=starts)
    start_us, end_us = quota.period(at)
    assert start_us <= at < end_us
    assert quota.period(start_us) == quota.period(end_us - 1) == (start_us, end_us)
    assert quota.period(start_us - 1)[1] == start_us
    assert quota.period(end_us)[0] == end_us
    length = timedelta(microseconds=end_us - start_us)
    longest = timedelta(days=2) if per == "day" else timedelta(days=32)
    # A clock that changes on both sides of a start costs less than three hours.
    assert (timedelta(hours=21) if per == "day" else timedelta(days=27)) <= length <= longest


def test_a_period_has_its_number_of_requests_and_the_next_one_has_them_again() -> None:
    """12,000 of 10,000 per day: 2,000 are left for the day after."""
    quota = Quota(requests=10_000, per="day")
    now = moment("2026-11-26T22:00")
    counts = quota.taken((), 10_000, now, now)
    assert quota.left(counts, now) == 0
    renewal = quota.renewal_us(counts, now, 1)
    assert renewal == moment("2026-11-27T00:00")
    assert quota.left(counts, renewal) == 10_000
    counts = quota.taken(counts, 2_000, renewal, renewal)
    assert counts == ((renewal, 2_000),)


def test_what_is_given_back_can_be_taken_again() -> None:
    """Unless its period is over by then."""
    quota = Quota(requests=100, per="day")
    now = moment("2026-11-26T22:00")
    counts = quota.taken(quota.taken((), 100, now, now), -30, now, now)
    assert quota.left(counts, now) == 30
    assert quota.taken(counts, -70, now, now) == quota.taken(counts, -71, now, now) == ()
    tomorrow = moment("2026-11-27T00:00")
    assert quota.left(quota.taken(counts, -30, now, tomorrow), tomorrow) == 100


def test_a_lower_quota_takes_effect_at_once() -> None:
    """What was counted stays counted, and nothing is left below zero."""
    counts = Quota(requests=100, per="day").taken((), 80, moment("2026-11-26T08:00"), moment("2026-11-26T08:00"))
    lower = Quota(requests=50, per="day")
    assert lower.left(counts, moment("2026-11-26T09:00")) == 0
    assert lower.renewal_us(counts, moment("2026-11-26T09:00"), 1) == moment("2026-11-27T00:00")


def sent(quota: Quota, gaps: list[tuple[int, int]]) -> Iterator[tuple[int, int, Counts]]:
    """Send, after each gap in microseconds, as much as is wanted and possible; yield the moment, number and counts."""
    counts: Counts = ()
    now = moment("2026-11-26T08:00")
    for gap_us, wanted in gaps:
        now += gap_us
        number = min(wanted, quota.left(counts, now))
        counts = quota.taken(counts, number, now, now)
        yield now, number, counts


@settings(max_examples=60, deadline=None)
@given(
    requests=st.integers(1, 50),
    per=st.sampled_from([1, 2.5, 10, 3600]),
    gaps=st.lists(st.tuples(st.floats(0, 0.4), st.integers(0, 40)), max_size=120),
)
def test_no_window_has_more_requests_than_the_quota(requests: int, per: float, gaps: list[tuple[float, int]]) -> None:
    """Wherever it begins, and the counts stay few."""
    quota = Quota(requests=requests, per=per)
    window = int(per * S)
    history = list(sent(quota, [(int(share * window), wanted) for share, wanted in gaps]))
    for place, (start, _, counts) in enumerate(history):
        assert sum(number for at, number, _ in history[place:] if at < start + window) <= requests
        assert len(counts) <= BUCKETS + 2


@settings(max_examples=60, deadline=None)
@given(
    wanted=st.integers(1, 60),
    gaps=st.lists(st.tuples(st.integers(0, 4 * S), st.integers(0, 40)), max_size=40),
)
def test_the_renewal_is_the_first_moment_with_enough(wanted: int, gaps: list[tuple[int, int]]) -> None:
    """Just before it, there is less."""
    quota = Quota(requests=50, per=10)
    for now, _, counts in sent(quota, gaps):
        renewal = quota.renewal_us(counts, now, wanted)
        assert now <= renewal <= now + 11 * S
        assert quota.left(counts, renewal) >= min(wanted, 50)
        assert renewal == now or quota.left(counts, renewal - 1) < min(wanted, 50)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"requests": 0}, "quota.requests is 0: expected a whole number of at least 1."),
        ({"requests": True}, "quota.requests is True"),
        ({"per": "week"}, 'quota.per is \'week\': expected "day", "month", or the seconds of a rolling window'),
        ({"per": 0}, "quota.per is 0"),
        ({"per": True}, "quota.per is True"),
        ({"per": float("nan")}, "quota.per is nan"),
        ({"per": ["day"]}, "quota.per is ['day']"),
        ({"per": 366 * 86_400 + 1}, "quota.per is 31622401"),
        ({"timezone": "Berlin"}, "quota.timezone is 'Berlin': expected the name of a time zone"),
        ({"starts": "soon"}, "quota.starts is 'soon': expected a date with or without a time"),
        ({"starts": 3}, "quota.starts is 3"),
        ({"starts": "2026-11-15T06:00+01:00"}, "a moment without a zone; the zone is `timezone`"),
        ({"per": 60, "starts": "2026-11-15"}, "quota.starts is '2026-11-15': expected nothing: only quotas per"),
    ],
)
def test_a_mistake_is_named_with_its_value(fields: dict[str, Any], message: str) -> None:
    """The field, the value, and what is expected."""
    with pytest.raises(BadSetting) as error:
        Quota(**{"requests": 10, "per": "day"} | fields)
    assert message in str(error.value)


def test_it_says_what_it_is() -> None:
    """In the words of a message."""
    assert str(Quota(requests=10_000, per="day", timezone="Europe/Berlin")) == "10,000 requests per day (Europe/Berlin)"
    assert str(Quota(requests=100, per=3600)) == "100 requests in any 3,600 s"
    # The longest one.
    assert str(Quota(requests=100, per=366 * 86_400)) == "100 requests in any 31,622,400 s"
