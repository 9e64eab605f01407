"""Quiet hours: whether it is quiet, and until when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_fanout.control.quiet import DAYS, QuietHours, next_quiet_us, open_us
from airflow_fanout.control.quota import from_us
from airflow_fanout.errors import BadSetting
from tests.control.test_quota import MOMENTS, moment

NIGHT = QuietHours(hours="22:00-06:00", timezone="Europe/Berlin")


def opens(quiet: QuietHours, at: str, zone: str = "Europe/Berlin") -> str:
    """Return the first moment from a local one on at which something may be sent, in UTC."""
    return from_us(open_us([quiet], moment(at, zone))).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-11-26T21:59", "2026-11-26T20:59"),
        ("2026-11-26T22:00", "2026-11-27T05:00"),
        ("2026-11-27T05:59", "2026-11-27T05:00"),
        ("2026-11-27T06:00", "2026-11-27T05:00"),
        # The nights in which the clock changes.
        ("2026-03-28T23:00", "2026-03-29T04:00"),
        ("2026-10-24T23:00", "2026-10-25T05:00"),
    ],
)
def test_a_night_lasts_from_one_day_to_the_next(at: str, until: str) -> None:
    """By the clock on the wall, also when it changes."""
    assert opens(NIGHT, at) == until


def test_the_days_are_those_on_which_it_begins() -> None:
    """The night from Friday to Saturday is quiet, the one after it isn't."""
    friday = QuietHours(hours="22:00-06:00", days=("fri",))
    assert opens(friday, "2026-11-28T03:00", "UTC") == "2026-11-28T06:00"
    assert opens(friday, "2026-11-28T23:00", "UTC") == "2026-11-28T23:00"


def test_whole_days_follow_each_other() -> None:
    """A weekend is quiet until Monday."""
    weekend = QuietHours(hours="00:00-24:00", days=("sat", "sun"))
    assert opens(weekend, "2026-11-28T00:00", "UTC") == "2026-11-30T00:00"
    assert opens(weekend, "2026-11-27T23:59", "UTC") == "2026-11-27T23:59"
    all_but_sunday = QuietHours(hours="00:00-24:00", days=("mon", "tue", "wed", "thu", "fri", "sat"))
    assert opens(all_but_sunday, "2026-11-23T00:00", "UTC") == "2026-11-29T00:00"


def test_the_next_quiet_time_is_not_the_present_one() -> None:
    """In the midst of one, and at its very beginning."""
    for at in ("2026-11-26T22:00", "2026-11-27T03:00"):
        assert next_quiet_us([NIGHT], moment(at, "Europe/Berlin")) == moment("2026-11-27T22:00", "Europe/Berlin")


def test_the_longer_reading_of_a_time_counts() -> None:
    """Half past two comes twice in that night, and not at all in the other one."""
    early = QuietHours(hours="01:00-02:30", timezone="Europe/Berlin")
    assert opens(early, "2026-10-25T01:30") == "2026-10-25T01:30"
    assert opens(early, "2026-03-29T01:30") == "2026-03-29T01:30"


def test_several_are_quiet_together() -> None:
    """What begins before the other ends prolongs it."""
    noon = QuietHours(hours="05:00-13:00", timezone="Europe/Berlin")
    at = moment("2026-11-26T23:00", "Europe/Berlin")
    assert from_us(open_us([NIGHT, noon], at)) == datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_hours_that_leave_no_time_are_refused() -> None:
    """A fetch would wait for ever."""
    with pytest.raises(BadSetting, match="leave some time to send requests at"):
        open_us([QuietHours(hours="00:00-24:00")], moment("2026-11-26T23:00"))
    with pytest.raises(BadSetting, match="quiet_hours is '22:00-10:00, 09:00-23:00'"):
        open_us([QuietHours(hours="22:00-10:00"), QuietHours(hours="09:00-23:00")], moment("2026-11-26T23:00"))


@settings(deadline=None)
@given(
    at_us=MOMENTS,
    begin=st.integers(0, 23),
    length=st.integers(1, 23),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]),
    days=st.sets(st.sampled_from(DAYS), min_size=1),
)
def test_it_opens_at_the_end_of_a_quiet_time(at_us: int, begin: int, length: int, zone: str, days: set[str]) -> None:
    """What is open is open now; else all until then is quiet. The next quiet time is after that."""
    quiet = QuietHours(hours=f"{begin:02}:00-{(begin + length) % 24:02}:00", timezone=zone, days=tuple(days))
    opens_us = open_us([quiet], at_us)
    assert open_us([quiet], opens_us) == opens_us
    for share in range(4):
        between_us = at_us + (opens_us - at_us) * share // 4
        assert open_us([quiet], between_us) == opens_us
    begins_us = next_quiet_us([quiet], opens_us)
    assert begins_us is not None
    assert opens_us < begins_us <= opens_us + 8 * timedelta(days=1) // timedelta(microseconds=1)
    assert open_us([quiet], begins_us) > begins_us
    assert open_us([quiet], begins_us - 1) == begins_us - 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hours": "22-6"}, "quiet_hours.hours is '22-6': expected two different times of the day"),
        ({"hours": "08:00-08:00"}, "quiet_hours.hours is '08:00-08:00'"),
        ({"hours": "24:00-08:00"}, "quiet_hours.hours is '24:00-08:00'"),
        ({"hours": 22}, "quiet_hours.hours is 22"),
        ({"timezone": "Mars/Olympus"}, "quiet_hours.timezone is 'Mars/Olympus'"),
        ({"days": ("mon", "friday")}, "quiet_hours.days is 'friday': expected a list of days, each one of mon, tue"),
        ({"days": ("friday", "Sunday")}, "quiet_hours.days is 'friday'"),
        ({"days": "mon"}, "quiet_hours.days is 'mon'"),
        ({"days": ()}, "quiet_hours.days is ()"),
    ],
)
def test_a_mistake_in_quiet_hours_is_named(fields: dict[str, Any], message: str) -> None:
    """The field, the value, and what is expected."""
    with pytest.raises(BadSetting) as error:
        QuietHours(**{"hours": "22:00-06:00"} | fields)
    assert message in str(error.value)


def test_quiet_hours_say_what_they_are() -> None:
    """In the words of a message."""
    assert str(NIGHT) == "22:00-06:00 (Europe/Berlin)"
    assert str(QuietHours(hours="00:00-24:00", days=("sat", "sun"))) == "00:00-24:00 on sat, sun (UTC)"
