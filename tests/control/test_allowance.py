"""Quotas and quiet hours together: what may be reserved, until when, and what a fetch has to expect."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_fanout.control.allowance import LATE_US, Allowance, allowance_of
from airflow_fanout.control.forecast import forecast, shown
from airflow_fanout.control.quiet import QuietHours
from airflow_fanout.control.quota import Quota
from airflow_fanout.errors import BadSetting
from tests.control.test_quota import MOMENTS, S, moment

DAILY = Allowance(quotas=(Quota(requests=10_000, per="day"),))
NIGHTLY = Allowance(quiet_hours=(QuietHours(hours="22:00-06:00"),))
BOTH = Allowance(
    quotas=(Quota(requests=1_000, per="day"), Quota(requests=100, per=3600)),
    quiet_hours=(QuietHours(hours="22:00-06:00", timezone="Europe/Berlin"),),
)


def test_nothing_limits_an_api_without_quotas_and_quiet_hours() -> None:
    """Then there is no allowance to ask."""
    assert allowance_of([], []) is None
    assert allowance_of(DAILY.quotas, []) == DAILY


def test_all_quotas_hold() -> None:
    """The one with the least left decides; after it, the other one."""
    noon = moment("2026-11-26T12:00")
    assert BOTH.allowed({}, 5_000, noon).requests == 100
    usage = BOTH.taken({}, 100, noon, noon)
    spent = BOTH.allowed(usage, 50, noon)
    assert (spent.requests, spent.is_spent) == (0, True)
    assert spent.why == "the renewal of the quota, 100 requests in any 3,600 s"
    assert spent.opens_us == noon + 3660 * S
    usage = BOTH.taken(usage, 900, noon, noon)
    assert BOTH.allowed(usage, 50, noon).opens_us == moment("2026-11-27T06:00", "Europe/Berlin")


def test_a_reservation_does_not_reach_beyond_a_renewal_or_into_the_quiet_hours() -> None:
    """It ends before them, and in their last second none is made."""
    late = moment("2026-11-26T23:00")
    assert DAILY.allowed({}, 10, late).until_us == moment("2026-11-27T00:00")
    assert NIGHTLY.allowed({}, 10, moment("2026-11-26T21:00")).until_us == moment("2026-11-26T22:00")
    close = DAILY.allowed({}, 10, moment("2026-11-27T00:00") - LATE_US)
    assert (close.requests, close.opens_us, close.why) == (0, moment("2026-11-27T00:00"), "")
    into_the_night = NIGHTLY.allowed({}, 10, moment("2026-11-26T22:00") - LATE_US)
    assert into_the_night.opens_us == moment("2026-11-27T06:00")
    assert into_the_night.why == "the end of the quiet hours, 22:00-06:00 (UTC)"


def test_what_was_reserved_just_before_a_renewal_counts_before_it() -> None:
    """The new period has all of its requests."""
    usage = DAILY.taken({}, 10_000, moment("2026-11-26T23:59:58"), moment("2026-11-26T23:59:50"))
    assert DAILY.left(usage, moment("2026-11-27T00:00")) == [10_000]


def test_a_task_does_not_come_back_for_a_single_request() -> None:
    """A rolling window renews itself little by little: a tenth of the quota is worth it, or what is wanted."""
    rolling = Allowance(quotas=(Quota(requests=100, per=600),))
    usage: dict[str, tuple[tuple[int, int], ...]] = {}
    start = moment("2026-11-26T12:00")
    for step in range(50):
        usage = rolling.taken(usage, 2, start + step * 10 * S, start + step * 10 * S)
    now = start + 495 * S
    assert rolling.allowed(usage, 1, now).opens_us == start + 610 * S
    assert rolling.allowed(usage, 1_000, now).opens_us == start + 650 * S


def test_the_counts_of_other_quotas_go_on() -> None:
    """A connection whose budget has another quota doesn't reset them."""
    noon = moment("2026-11-26T12:00")
    usage = DAILY.taken({}, 400, noon, noon)
    hourly = Allowance(quotas=(Quota(requests=100, per=3600),))
    usage = hourly.taken(usage, 50, noon, noon)
    assert (DAILY.left(usage, noon), hourly.left(usage, noon)) == ([9_600], [50])


def test_two_quotas_per_day_are_a_mistake() -> None:
    """Nobody would know which one counts; quiet hours around the clock are one, too."""
    twice = Allowance(quotas=(Quota(requests=1, per="day"), Quota(requests=2, per="day")))
    with pytest.raises(BadSetting, match="quotas is 'two per day': expected one quota for each `per`"):
        twice.check()
    with pytest.raises(BadSetting, match="leave some time"):
        Allowance(quiet_hours=(QuietHours(hours="00:00-24:00"),)).check()
    BOTH.check()


def test_a_forecast_tells_what_fits_and_when_all_is_done() -> None:
    """12,000 requests at 100 per second, of 10,000 per day: the rest takes 20 s of the next day."""
    expected = forecast(DAILY, {}, 12_000, 100.0, moment("2026-11-26T12:00"))
    assert (expected.fits, expected.renewal_us) == (10_000, moment("2026-11-27T00:00"))
    assert expected.complete_us == moment("2026-11-27T00:00:20")
    assert expected.sentence() == (
        "At least 12,000 requests are needed, and 10,000 fit before the renewal at 2026-11-27 00:00 UTC; complete by "
        "2026-11-27 00:00 UTC at 100/s, if nothing else uses the budget."
    )
    assert shown(moment("2026-11-27T00:00"), ZoneInfo("Europe/Berlin")) == "2026-11-27 01:00 CET"


def test_a_forecast_counts_what_was_used_before() -> None:
    """Nothing fits today, then two days' worth."""
    now = moment("2026-11-26T12:00")
    usage = DAILY.taken({}, 10_000, now, now)
    expected = forecast(DAILY, usage, 12_000, None, now)
    assert (expected.fits, expected.renewal_us) == (0, moment("2026-11-27T00:00"))
    assert expected.complete_us == moment("2026-11-28T00:00")


def test_a_rate_that_is_slower_than_the_quota_lasts_into_the_next_day() -> None:
    """What fits is what the rate sends before the renewal, though the quota isn't used up by it."""
    expected = forecast(DAILY, {}, 3_600, 0.5, moment("2026-11-26T23:00"))
    assert 1_798 <= expected.fits <= 1_800
    assert expected.renewal_us == moment("2026-11-27T00:00")
    assert moment("2026-11-27T01:00") <= (expected.complete_us or 0) <= moment("2026-11-27T01:00:10")


def test_what_fits_needs_no_renewal() -> None:
    """And without a rate and without a wait, nobody knows how long it takes."""
    expected = forecast(DAILY, {}, 300, None, moment("2026-11-26T12:00"))
    assert expected.sentence() == "At least 300 requests are needed, and all of them fit."
    timed = forecast(DAILY, {}, 300, 100.0, moment("2026-11-26T12:00"))
    assert timed.complete_us == moment("2026-11-26T12:00:03")


def test_quiet_hours_delay_without_a_renewal() -> None:
    """One hour before the night, and one after it."""
    expected = forecast(NIGHTLY, {}, 7_200, 1.0, moment("2026-11-26T21:00"))
    assert expected.renewal_us is None
    assert moment("2026-11-27T07:00") <= (expected.complete_us or 0) <= moment("2026-11-27T07:00:05")


def test_a_very_long_way_is_reckoned_by_its_beginning() -> None:
    """A hundred million requests, ten thousand a day: 27 years."""
    expected = forecast(DAILY, {}, 100_000_000, 100.0, moment("2026-01-01T00:00"))
    years = ((expected.complete_us or 0) - moment("2026-01-01T00:00")) / (365.25 * 86_400 * S)
    assert 27.3 < years < 27.5


@settings(max_examples=40, deadline=None)
@given(
    now=MOMENTS,
    needed=st.integers(0, 3_000),
    per_s=st.sampled_from([None, 0.3, 50.0, 3_000.0]),
    allowance=st.sampled_from([DAILY, NIGHTLY, BOTH, Allowance()]),
)
def test_a_forecast_is_never_earlier_than_the_rate(
    now: int, needed: int, per_s: float | None, allowance: Allowance
) -> None:
    """Nor does more fit than is needed."""
    expected = forecast(allowance, {}, needed, per_s, now)
    assert 0 <= expected.fits <= needed
    assert (expected.complete_us or now) >= now + (needed / per_s * S if per_s else 0) - needed
    if expected.renewal_us is None:
        assert expected.fits == needed
    else:
        assert now < expected.renewal_us <= (expected.complete_us or 0) + LATE_US
