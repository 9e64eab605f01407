from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from airflow_fanout.api.ratelimit import LONGEST_S, pause_s, reset_s, retry_after_s

NOW = datetime(2026, 11, 23, 6, 0, 0, tzinfo=UTC)
UNIX = int(NOW.timestamp())
# The largest number that is a duration, not a moment.
BILLION = "1000000000"
NAMES = (
    "Date",
    "Retry-After",
    "RateLimit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)
PIECES = st.sampled_from(["r=0", "t=", "remaining=0", "reset=", "limit=", ";", ",", '"', "-", "0", "9" * 5000, " "])
TEXTS = (
    st.text(max_size=40)
    | st.lists(PIECES | st.integers().map(str), max_size=8).map("".join)
    | st.from_regex(r"\w{3}, \d{1,4} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d [+-]?\w{1,14}")
)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Mon, 23 Nov 2026 06:01:30 GMT", 90.0),
        ("Monday, 23-Nov-26 06:01:30 GMT", 90.0),
        ("Mon Nov 23 06:01:30 2026", 90.0),
        ("Mon, 23 Nov 2026 07:01:30 +0100", 90.0),
        ("Mon, 23 Nov 2026 05:00:00 GMT", 0.0),
        ("Sat, 01 Jan 0001 00:00:00 +2300", 0.0),
        (str(UNIX + 60), 60.0),
        (str((UNIX + 60) * 1000), 60.0),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        (BILLION, 1e9),
        ("1000000001", 0.0),
        ("100000000000", None),
        ("100000000001", 0.0),
        ("000000000000120", 120.0),
        ("0000000000000120", None),
        (format_datetime(NOW + timedelta(seconds=1e9), usegmt=True), 1e9),
        (format_datetime(NOW + timedelta(seconds=1e9 + 1), usegmt=True), None),
        ("9" * 15, None),
        ("9" * 400, None),
        ("9" * 5000, None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Mon, 99 Nov 2026 06:00:00 GMT", None),
        ("Mon, 23 Nov 2026 06:00:00 +99999999999999999", None),
    ],
)
def test_retry_after_is_read_as_rfc_9110_has_it(header: str | None, seconds: float | None) -> None:
    """Whole seconds or a date in one of HTTP's three forms; what is over is now, what makes no sense is unread."""
    assert retry_after_s({} if header is None else {"Retry-After": header}, NOW) == seconds


@given(st.integers(-(10**8), 10**8))
def test_a_date_is_read_to_the_second(seconds: int) -> None:
    """A date in the future is as far away as it says, one in the past is now."""
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_s({"Retry-After": header}, NOW) == max(0, seconds)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit": '"default";r=0;t=30'}, 30.0),
        ({"RateLimit": '"default";r=50;t=30'}, None),
        ({"RateLimit": '"default";r=0'}, None),
        ({"RateLimit": '"burst";r=0;t=5, "daily";r=900;t=40000'}, 5.0),
        ({"RateLimit": '"burst";r=9;t=5, "daily";r=0;t=40000'}, 40000.0),
        ({"RateLimit": '"burst";r=0;t=5, "daily";r=0;t=40000'}, 40000.0),
        ({"RateLimit": "limit=100, remaining=0, reset=30"}, 30.0),
        ({"RateLimit": "limit=100,remaining=7,reset=30"}, None),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, 30.0),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "1", "RateLimit-Reset": "30"}, None),
        ({"RateLimit-Reset": "30"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 30.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(UNIX + 45)}, 45.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str((UNIX + 45) * 1000)}, 45.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(UNIX - 45)}, 0.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "later"}, None),
        ({"x-ratelimit-remaining": " 0 ", "x-ratelimit-reset": " 30 "}, 30.0),
        ({}, None),
    ],
)
def test_a_quota_that_is_used_up_is_waited_for(headers: dict[str, str], seconds: float | None) -> None:
    """In all three families; while something is left of it, nobody waits. Of several the last to be full counts."""
    assert reset_s(CaseInsensitiveDict(headers), NOW) == seconds


@pytest.mark.parametrize(("after", "reset", "seconds"), [("10", "30", 30.0), ("60", "30", 60.0), ("soon", "30", 30.0)])
def test_of_two_words_the_longer_one_counts(after: str, reset: str, seconds: float) -> None:
    """A server that says two things is asked again when both are true."""
    headers = {"Retry-After": after, "RateLimit-Remaining": "0", "RateLimit-Reset": reset}
    assert pause_s(headers, NOW) == seconds


@pytest.mark.parametrize("clock", [timedelta(0), timedelta(hours=1), timedelta(hours=-1), timedelta(days=-20_000)])
def test_a_moment_is_one_of_the_servers_clock(clock: timedelta) -> None:
    """Whatever the server's clock says, two seconds after its own `Date` are two seconds."""
    there = NOW + clock
    soon = there + timedelta(seconds=2)
    date = {"Date": format_datetime(there, usegmt=True)}
    assert retry_after_s({**date, "Retry-After": format_datetime(soon, usegmt=True)}, NOW) == 2.0
    assert retry_after_s({**date, "Retry-After": "7"}, NOW) == 7.0
    if soon.timestamp() > LONGEST_S:
        reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(soon.timestamp()))}
        assert reset_s({**date, **reset}, NOW) == 2.0


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 23 Nov 2026"])
def test_without_a_date_that_can_be_read_the_clock_here_counts(date: str) -> None:
    """An answer needn't have a `Date`, and a proxy may have spoilt it."""
    headers = {"Date": date, "Retry-After": "Mon, 23 Nov 2026 06:01:30 GMT"}
    assert retry_after_s(headers, NOW) == 90.0


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS))
@example({"Date": "Sat, 01 Jan 0001 00:00:00 +2300", "Retry-After": "Mon, 23 Nov 2026 06:01:30 GMT"})
@example({"Date": "Fri, 31 Dec 9999 23:59:59 -2300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000000"})
@example({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 5000})
@example({"RateLimit": f'"x";r=0;t={"9" * 5000}'})
def test_no_header_raises(headers: dict[str, str]) -> None:
    """A server can send what it likes: it is read as a time that a task can wait, or not at all."""
    found = pause_s(headers, NOW)
    assert found is None or 0 <= found <= LONGEST_S
    # It can be waited for: the moment is one that a clock can show.
    assert NOW + timedelta(seconds=found or 0) >= NOW
