from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from airflow.timetables.base import TimeRestriction
from airflow.timetables.interval import CronDataIntervalTimetable
from hypothesis import given
from hypothesis import strategies as st
from pendulum import instance

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.as_of import AsOf, of_context, of_run

LOGICAL = datetime(2026, 11, 22, tzinfo=UTC)
START = datetime(2026, 11, 21, tzinfo=UTC)
TRIGGERED = datetime(2026, 11, 23, 6, 15, 7, 123_999, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
# West and east of Greenwich, half hours, both ends of the world, and two where some days begin at one o'clock.
ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago"),
    *("Africa/Cairo", "America/Havana"),
]


@dataclass(frozen=True)
class Run:
    """The dates that a dag run has."""

    logical_date: datetime | None = None
    data_interval_start: datetime | None = None
    data_interval_end: datetime | None = None
    run_after: datetime = TRIGGERED
    run_type: str = "manual"


@dataclass(frozen=True)
class Dag:
    timezone: ZoneInfo


def scheduled(start: datetime, end: datetime) -> Run:
    """Return the run that a schedule makes of a data interval."""
    return Run(start, start, end, end, "scheduled")


def day_of(run: Run, zone: ZoneInfo, asked: str | None = None) -> AsOf:
    """Return what the run of a report about days is about."""
    return of_run(run, {"day": asked}, zone)


def interval(zone: str, day: date) -> tuple[datetime, datetime]:
    """Return the data interval that Airflow gives to the daily run of a day."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    # Where a day has two midnights, Airflow's begins with the second: asked for the first, it names the next day.
    within = TimeRestriction(earliest=instance(midnight - timedelta(hours=1)), latest=None, catchup=True)
    info = CronDataIntervalTimetable("0 0 * * *", zone).next_dagrun_info(
        last_automated_data_interval=None, restriction=within
    )
    assert info is not None
    assert info.data_interval is not None
    return info.data_interval.start, info.data_interval.end


def test_the_logical_date_comes_first() -> None:
    """A scheduled or backfilled run is about its logical date."""
    found = of_run(Run(LOGICAL, START), {}, UTC)
    assert found == AsOf(moment=LOGICAL, day="2026-11-22", source="logical_date")


def test_without_a_logical_date_the_interval_counts() -> None:
    """A run that has only a data interval is about its start."""
    found = of_run(Run(None, START), {}, UTC)
    assert (found.moment, found.source) == (START, "data_interval")


def test_a_run_without_dates_is_about_when_it_was_triggered() -> None:
    """A run triggered by hand or by an asset is about that moment, to MongoDB's millisecond."""
    found = of_run(Run(), {}, UTC)
    assert (found.moment, found.source) == (TRIGGERED.replace(microsecond=123_000), "run_after")


def test_the_moment_is_in_utc_and_the_day_in_the_dags_time_zone() -> None:
    """A date in another time zone is the same moment in UTC, one run has one key; its day is that of the DAG's zone."""
    there = LOGICAL.astimezone(timezone(timedelta(hours=5, minutes=30)))
    found = of_run(Run(there), {}, NEW_YORK)
    assert (found.moment, found.moment.tzinfo, found.day) == (LOGICAL, UTC, "2026-11-21")


@pytest.mark.parametrize(
    ("zone", "day", "hours", "as_of"),
    [
        ("Europe/Berlin", "2026-03-28", 24, "2026-03-27T23:00:00+00:00"),
        ("Europe/Berlin", "2026-03-29", 23, "2026-03-28T23:00:00+00:00"),
        ("Europe/Berlin", "2026-03-30", 24, "2026-03-29T22:00:00+00:00"),
        ("Europe/Berlin", "2026-10-25", 25, "2026-10-24T22:00:00+00:00"),
        ("Europe/Berlin", "2026-10-26", 24, "2026-10-25T23:00:00+00:00"),
        ("America/New_York", "2026-03-08", 23, "2026-03-08T05:00:00+00:00"),
        ("America/New_York", "2026-11-01", 25, "2026-11-01T04:00:00+00:00"),
    ],
)
def test_days_of_23_and_25_hours(zone: str, day: str, hours: int, as_of: str) -> None:
    """The daily run of a day on which the clocks change is about that day, from its own midnight on."""
    start, end = interval(zone, date.fromisoformat(day))
    assert end - start == timedelta(hours=hours)
    found = day_of(scheduled(start, end), ZoneInfo(zone))
    assert (found.day, found.moment.isoformat(), found.source) == (day, as_of, "data_interval")
    assert found.moment == start


@given(st.dates(date(2015, 1, 1), date(2030, 12, 30)), st.sampled_from(ZONES))
def test_a_day_has_one_moment_whoever_asks_for_it(day: date, name: str) -> None:
    """Scheduled, backfilled, triggered for the day, or triggered after it: one day is one key, a later one is later."""
    zone = ZoneInfo(name)
    start, end = interval(name, day)
    nightly = day_of(scheduled(start, end), zone)
    asked = day_of(Run(run_after=end + timedelta(days=9)), zone, day.isoformat())
    after = day_of(Run(run_after=end + timedelta(hours=5)), zone)
    assert {(found.day, found.moment) for found in (nightly, asked, after)} == {(day.isoformat(), nightly.moment)}
    assert nightly.moment < day_of(scheduled(*interval(name, day + timedelta(days=1))), zone).moment


def test_a_run_by_hand_is_about_the_last_day_that_has_ended() -> None:
    """Without a param and without a logical date, it is the day before that of the trigger, and says so."""
    just_after_midnight = datetime(2026, 11, 22, 0, 30, tzinfo=BERLIN)
    found = day_of(Run(run_after=just_after_midnight), BERLIN)
    assert (found.day, found.source) == ("2026-11-21", "run_after")


def test_a_run_by_hand_with_a_logical_date_has_the_day_of_its_data_interval() -> None:
    """The UI's form suggests the present as logical date: the day is the one that had ended, as Airflow shows it."""
    now = datetime(2026, 11, 22, 14, 37, 12, tzinfo=BERLIN)
    start, end = interval("Europe/Berlin", date(2026, 11, 21))
    found = day_of(Run(now, start, end, now), BERLIN)
    assert (found.day, found.source) == ("2026-11-21", "data_interval")


def test_a_schedule_in_the_morning_is_about_the_same_days() -> None:
    """The nightly run at six o'clock is about the day that has ended, with the key that this day always has."""
    begin = datetime(2026, 11, 21, 6, tzinfo=BERLIN)
    found = day_of(scheduled(begin, begin + timedelta(days=1)), BERLIN)
    assert (found.day, found.moment) == ("2026-11-21", datetime(2026, 11, 20, 23, tzinfo=UTC))


def test_the_param_names_the_day() -> None:
    """A run triggered by hand is about the day that its param names, whatever its logical date, and says so."""
    found = day_of(Run(LOGICAL, LOGICAL, LOGICAL), BERLIN, "2026-11-03")
    expected = AsOf(moment=datetime(2026, 11, 2, 23, tzinfo=UTC), day="2026-11-03", source="params.day")
    assert found == expected


@pytest.mark.parametrize("text", ["yesterday", "2026-11-31", "20261122", "2026-W47-7", "2026-11-22T00:00", "", 7])
def test_a_param_that_is_no_date_is_refused(text: str) -> None:
    """What isn't a date, written in one way, is refused with its value."""
    with pytest.raises(BadSetting, match=r"params\.day is .*: expected a date such as 2026-11-22, or null") as caught:
        day_of(Run(), BERLIN, text)
    assert caught.value.value == text


def test_a_day_that_has_not_ended_is_refused() -> None:
    """The report is about days that have ended in its time zone; the message names the last of them."""
    assert day_of(Run(), BERLIN, "2026-11-22").day == "2026-11-22"
    with pytest.raises(BadSetting, match=r"a day that has ended in Europe/Berlin, the last of which is 2026-11-22"):
        day_of(Run(), BERLIN, "2026-11-23")


def test_a_run_with_a_past_logical_date_may_ask_for_a_later_day() -> None:
    """What counts is whether the day has ended when the run is triggered, not the logical date that a person chose."""
    past = Run(LOGICAL - timedelta(days=300), START - timedelta(days=300), LOGICAL - timedelta(days=300))
    assert day_of(past, BERLIN, "2026-11-22").day == "2026-11-22"
    with pytest.raises(BadSetting, match="the last of which is 2026-11-22"):
        day_of(past, BERLIN, "2026-11-23")


def test_a_moment_is_cut_to_the_millisecond() -> None:
    """MongoDB keeps no microseconds: what it gives back is the same moment."""
    for microsecond, kept in ((123_999, 123_000), (1_000, 1_000), (999, 0), (999_999, 999_000)):
        moment = TRIGGERED.replace(microsecond=microsecond)
        assert of_run(Run(run_after=moment), {}, UTC).moment == TRIGGERED.replace(microsecond=kept)


@pytest.mark.parametrize("kind", [DagRunType.SCHEDULED, DagRunType.BACKFILL])
def test_a_backfill_for_one_day_is_refused(kind: DagRunType) -> None:
    """All days of a backfill have the same params: a day among them would take the place of each of theirs."""
    run = replace(scheduled(*interval("Europe/Berlin", date(2026, 11, 3))), run_type=kind)
    with pytest.raises(BadSetting, match=f"null in a {kind.value} run"):
        day_of(run, BERLIN, "2026-11-04")


def test_a_task_knows_it_from_its_context() -> None:
    """The DAG's time zone and the run's params come from the task's context."""
    context = {"dag_run": Run(), "params": {"day": "2026-11-03"}, "dag": Dag(BERLIN)}
    assert of_context(context) == day_of(Run(), BERLIN, "2026-11-03")


@pytest.mark.parametrize("zone", [BERLIN, ZoneInfo("Asia/Kolkata"), ZoneInfo("Asia/Tokyo")])
def test_a_day_at_the_begin_of_the_calendar_is_refused_in_words(zone: ZoneInfo) -> None:
    """East of Greenwich the first day of the year 1 begins before any date in UTC."""
    with pytest.raises(BadSetting, match=r"params\.day is '0001-01-01': expected a day that has a date in UTC and in"):
        day_of(Run(), zone, "0001-01-01")
    assert day_of(Run(), zone, "0001-01-02").day == "0001-01-02"


def test_a_logical_date_at_an_end_of_the_calendar_is_refused_in_words() -> None:
    """So is a moment that has no date in the DAG's time zone."""
    for moment, zone in ((datetime(1, 1, 1, tzinfo=UTC), NEW_YORK), (datetime(9999, 12, 31, 23, tzinfo=UTC), BERLIN)):
        with pytest.raises(BadSetting) as caught:
            of_run(Run(moment), {}, zone)
        assert f"the run's date is '{moment}'" in str(caught.value)
