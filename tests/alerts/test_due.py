from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from airflow_fanout.alerts.due import due
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.clock import to_time, to_zone

BERLIN = ZoneInfo("Europe/Berlin")
EIGHT = time(8)


def at(text: str) -> datetime:
    """Return a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("run_after", "moment"),
    [
        ("2026-11-21T23:00", "2026-11-22T07:00"),
        # Clocks go forward at two in the morning: the night has an hour less.
        ("2026-03-28T23:00", "2026-03-29T06:00"),
        # Clocks go back at three: it has an hour more.
        ("2026-10-24T22:00", "2026-10-25T07:00"),
        # A run that may begin at ten in the morning is for the next morning.
        ("2026-11-22T09:00", "2026-11-23T07:00"),
        ("2026-11-22T07:00", "2026-11-23T07:00"),
        # The next morning is in summer time.
        ("2026-03-28T09:00", "2026-03-29T06:00"),
    ],
)
def test_it_is_eight_by_the_clock_on_the_wall(run_after: str, moment: str) -> None:
    """The first eight o'clock in Berlin after the run could begin, also on days of 23 and 25 hours."""
    assert due(at(run_after), EIGHT, BERLIN, now=at(run_after)) == at(moment)


def test_a_time_that_the_clock_leaves_out_is_the_one_after_the_gap() -> None:
    """Half past two doesn't exist that night: half past three it is."""
    assert due(at("2026-03-28T23:00"), time(2, 30), BERLIN, now=at("2026-03-28T23:00")) == at("2026-03-29T01:30")


@pytest.mark.parametrize(
    ("created", "moment"),
    [
        ("2026-11-22T06:59:59", "2026-11-22T07:00"),
        ("2026-11-22T07:00", None),
        ("2026-11-22T07:04", None),
        ("2026-11-22T22:59", None),
        ("2026-11-25T08:00", None),
    ],
)
def test_a_run_that_is_created_after_its_deadline_has_none(created: str, moment: str | None) -> None:
    """Nobody could have loaded it by then: the first run of a DAG that was just unpaused, or that of a lost day."""
    assert due(at("2026-11-21T23:00"), EIGHT, BERLIN, now=at(created)) == (moment and at(moment))


@pytest.mark.parametrize("value", ["8 o'clock", "08:00+01:00", "25:00"])
def test_a_time_that_is_none_is_refused(value: str) -> None:
    """The error names the field and a good value."""
    with pytest.raises(BadSetting, match=r'^at is .* such as "08:00"|^at is .* without a zone'):
        to_time("at", value)


@pytest.mark.parametrize("value", ["Berlin", "", "../etc"])
def test_a_zone_that_is_none_is_refused(value: str) -> None:
    """The error names the field and a good value."""
    with pytest.raises(BadSetting, match=r"^timezone is .* such as"):
        to_zone("timezone", value)
