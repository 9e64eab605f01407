"""Whether and when a request is tried again: pure decisions.

Full jitter: the wait is drawn evenly between nothing and an exponentially growing bound, which spreads the
requests of many clients best (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from airflow_fanout.outcome import Kind, Outcome
from airflow_fanout.settings import Retry

# Other kinds are answers: asking again gives the same one.
TRANSIENT = frozenset({Kind.TIMEOUT, Kind.CONNECTION_ERROR})


def wait_s(
    outcome: Outcome, *, attempt: int, policy: Retry, repeatable: bool, uniform: Callable[[float, float], float]
) -> float | None:
    """Return how long to wait before the next attempt, in seconds; `None` if this outcome stands.

    :param attempt: the number of the attempt that gave the outcome, counted from 1.
    :param repeatable: whether sending the request twice does no harm.
    :param uniform: draws evenly from a range, as `random.uniform` does.
    """
    if attempt >= policy.attempts or not _helps(outcome, policy, repeatable=repeatable):
        return None
    asked = outcome.retry_after_s or 0.0
    if asked > policy.longest_s:
        return None
    # 2.0 ** 64 is beyond any cap, and 2.0 ** 1100 is an OverflowError.
    bound = min(policy.cap_s, policy.base_s * 2.0 ** min(attempt - 1, 64))
    return asked + uniform(0.0, bound)


def _helps(outcome: Outcome, policy: Retry, *, repeatable: bool) -> bool:
    if outcome.kind is Kind.HTTP_ERROR:
        # Only 429 says that the request was not carried out; after any other status nobody knows.
        return outcome.status in policy.statuses and (repeatable or outcome.status == 429)
    return outcome.kind in TRANSIENT and repeatable


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return a `Retry-After` header (RFC 9110, 10.2.3: seconds, or a date) in seconds from `now`.

    `None` for a header that isn't there or can't be read.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        aware = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max(0.0, (aware - now).total_seconds())
    except (ValueError, OverflowError):
        return None
