from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_fanout.outcome import Kind, Outcome
from airflow_fanout.retry import parse_retry_after, wait_s
from airflow_fanout.settings import Retry

NOW = datetime(2026, 11, 23, 6, 0, 0, tzinfo=UTC)
TIMEOUT = Outcome(Kind.TIMEOUT)
SECONDS = st.floats(min_value=0, max_value=1e300)


def longest(low: float, high: float) -> float:
    """Draw the greatest number of a range."""
    return high


def wait(outcome: Outcome, *, attempt: int = 1, repeatable: bool = True, policy: Retry | None = None) -> float | None:
    """Return the longest wait that an outcome can get."""
    return wait_s(outcome, attempt=attempt, policy=policy or Retry(), repeatable=repeatable, uniform=longest)


@given(st.integers(1, 10**6), SECONDS, SECONDS, st.none() | st.floats(0, 100), st.randoms(use_true_random=False))
@example(attempt=5000, base_s=1e300, cap_s=1e300, asked=None, source=random.Random(1))
def test_a_wait_stays_within_its_bounds(
    attempt: int, base_s: float, cap_s: float, asked: float | None, source: random.Random
) -> None:
    """A wait is at least what the server asked for, and beyond it at most the doubled base and at most the cap."""
    policy = Retry(attempts=10**6 + 1, base_s=base_s, cap_s=cap_s)
    outcome = Outcome(Kind.TIMEOUT, retry_after_s=asked)
    found = wait_s(outcome, attempt=attempt, policy=policy, repeatable=True, uniform=source.uniform)
    least = asked or 0.0
    assert found is not None
    assert least <= found <= (least + min(cap_s, base_s * 2.0 ** min(attempt - 1, 64))) * (1 + 1e-9)


def test_the_bound_doubles_up_to_the_cap() -> None:
    """With a base of half a second, the longest waits are 0.5, 1, 2, 4 and then the cap."""
    policy = Retry(attempts=10, base_s=0.5, cap_s=5.0)
    waits = [wait(TIMEOUT, attempt=attempt, policy=policy) for attempt in range(1, 7)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_the_jitter_is_full() -> None:
    """The wait is drawn from all of the range, from nothing to the bound."""
    asked = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    assert wait_s(TIMEOUT, attempt=3, policy=Retry(), repeatable=True, uniform=uniform) == 0.0
    assert asked == [(0.0, 2.0)]


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_last_attempt_stands(attempts: int) -> None:
    """A parameter is asked for `attempts` times, the first time included, and not once more."""
    policy = Retry(attempts=attempts)
    tried = [wait(TIMEOUT, attempt=attempt, policy=policy) is not None for attempt in range(1, attempts + 1)]
    assert tried == [True] * (attempts - 1) + [False]


@pytest.mark.parametrize("kind", Kind)
def test_only_what_may_pass_is_tried_again(kind: Kind) -> None:
    """Timeouts and lost connections may pass; a null, a bad answer or an author's error is what it is."""
    assert (wait(Outcome(kind)) is not None) is (kind in (Kind.TIMEOUT, Kind.CONNECTION_ERROR))


@pytest.mark.parametrize(
    ("status", "again"), [(408, True), (429, True), (500, True), (503, True), (400, False), (404, False), (501, False)]
)
def test_a_status_is_tried_again_if_the_policy_has_it(status: int, again: bool) -> None:
    """Statuses that say "later" are tried again, those that say "no" are not; the author's list decides."""
    outcome = Outcome(Kind.HTTP_ERROR, status=status)
    assert (wait(outcome) is not None) is again
    assert wait(outcome, policy=Retry(statuses=())) is None


@pytest.mark.parametrize("outcome", [TIMEOUT, Outcome(Kind.CONNECTION_ERROR), Outcome(Kind.HTTP_ERROR, status=503)])
def test_what_may_have_arrived_is_not_sent_twice(outcome: Outcome) -> None:
    """A request that must not be repeated isn't when nobody knows whether it was carried out."""
    assert wait(outcome, repeatable=False) is None


def test_a_throttled_request_was_not_carried_out() -> None:
    """429 says that nothing was done, so even a request that must not be repeated is sent again."""
    assert wait(Outcome(Kind.HTTP_ERROR, status=429), repeatable=False) is not None


def test_a_server_may_ask_for_patience_up_to_a_limit() -> None:
    """`Retry-After` is waited for up to the policy's limit; beyond it the outcome stands."""
    policy = Retry(longest_s=60.0)
    assert wait(Outcome(Kind.HTTP_ERROR, status=503, retry_after_s=60.0), policy=policy) == 60.5
    assert wait(Outcome(Kind.HTTP_ERROR, status=503, retry_after_s=60.1), policy=policy) is None


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
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("Mon, 99 Nov 2026 06:00:00 GMT", None),
        ("Mon, 23 Nov 2026 06:00:00 +99999999999999999", None),
        ("Sat, 01 Jan 0001 00:00:00 +2300", 0.0),
    ],
)
def test_retry_after_is_read_as_rfc_9110_has_it(header: str | None, seconds: float | None) -> None:
    """Whole seconds or a date in one of HTTP's three forms; a moment that is over is now; the rest is unreadable."""
    assert parse_retry_after(header, NOW) == seconds


@given(st.text(max_size=40) | st.from_regex(r"\w{3}, \d{1,4} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d [+-]?\w{1,14}"))
def test_no_header_raises(header: str) -> None:
    """A server can send what it likes: the header is read as a time from now on, or not at all."""
    found = parse_retry_after(header, NOW)
    assert found is None or found >= 0


@given(st.integers(-(10**8), 10**8))
def test_a_date_is_read_to_the_second(seconds: int) -> None:
    """A date in the future is as far away as it says, one in the past is now."""
    header = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(header, NOW) == max(0, seconds)
