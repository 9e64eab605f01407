"""Whether and when a request is tried again: pure decisions.

Full jitter: the wait is drawn evenly between nothing and an exponentially growing bound, which spreads the
requests of many clients best (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.model.settings import Retry

# Other kinds are answers: asking again gives the same one, unless it was garbled.
TRANSIENT = frozenset({Kind.TIMEOUT, Kind.CONNECTION_ERROR})


class Again(msgspec.Struct, frozen=True):
    """Try again after a wait, in seconds."""

    wait_s: float


class Verdict(Enum):
    """What else can become of an outcome."""

    FINAL = "it stands"
    LATER = "the last pass asks once more"
    HAND_BACK = "the API asked us to wait longer than the task keeps its worker slot"


class RetryBudget:
    """How many requests may be repeated: a hundred, and a share of all that were sent.

    A limit by share, not by number, keeps a client from multiplying the load of a server that is failing (B. Beyer et
    al., "Site Reliability Engineering", chapter 21, "Handling Overload"; AWS Builders' Library, "Timeouts, retries,
    and backoff with jitter").
    """

    RESERVE = 100

    def __init__(self, share: float) -> None:
        self._share = share
        self._left = float(self.RESERVE)

    def sent(self, many: int = 1) -> None:
        """Count `many` requests that were sent."""
        self._left += self._share * many

    def take(self, many: int = 1) -> bool:
        """Spend a repetition of `many` requests; return whether there was anything left for it."""
        if self._left < 1:
            return False
        self._left -= many
        return True


def without_too_long_a_pause(outcome: Outcome, policy: Retry) -> Outcome:
    """Return an outcome without a pause that nobody waits for, and with a failure that says so; others as they are."""
    asked_s = outcome.retry_after_s or 0.0
    longest_s = max(policy.max_retry_after_s, policy.max_deferral_s)
    if asked_s <= longest_s:
        return outcome
    failure = outcome.failure and Failure(
        outcome.failure.type,
        f"{outcome.failure.message}; the API asked us to wait {asked_s:,.0f} s, longer than {longest_s:,.0f} s "
        "(retry.max_deferral_s), so the request wasn't repeated",
        outcome.failure.where,
    )
    return msgspec.structs.replace(outcome, retry_after_s=None, failure=failure)


def decide(
    outcome: Outcome,
    *,
    attempt: int,
    policy: Retry,
    repeatable: bool,
    budget: RetryBudget,
    uniform: Callable[[float, float], float],
    was_garbled: bool = False,
    requests: int = 1,
) -> Again | Verdict:
    """Return what becomes of an outcome.

    :param attempt: the number of the attempt that gave the outcome, counted from 1.
    :param was_garbled: whether an earlier attempt's answer was garbled.
    :param repeatable: whether sending the request twice does no harm.
    :param budget: what is left for repetitions; one is spent by trying again.
    :param uniform: draws evenly from a range, as `random.uniform` does.
    :param requests: how many requests the attempt has sent, and another one will most likely send.
    """
    if not _helps(outcome, policy, repeatable=repeatable) or policy.max_attempts == 1:
        return Verdict.FINAL
    asked_s = outcome.retry_after_s or 0.0
    if asked_s > policy.max_retry_after_s:
        return Verdict.HAND_BACK
    if outcome.garbled and was_garbled:
        # A torn answer is another one the next time; one that is the same twice is what the server sends.
        return Verdict.FINAL
    if attempt >= policy.max_attempts or not budget.take(requests):
        return Verdict.LATER if policy.last_pass else Verdict.FINAL
    return Again(asked_s + uniform(0.0, bound_s(attempt, policy)))


def bound_s(attempt: int, policy: Retry) -> float:
    """Return the longest wait after an attempt, in seconds.

    It is `initial_delay_s`, doubled with each further attempt, at most `max_delay_s`.
    """
    # 2.0 ** 64 is beyond any cap, and 2.0 ** 1100 is an OverflowError.
    return min(policy.max_delay_s, policy.initial_delay_s * 2.0 ** min(attempt - 1, 64))


def _helps(outcome: Outcome, policy: Retry, *, repeatable: bool) -> bool:
    if outcome.unsent or outcome.unprocessed:
        # Sending it again is sending it once.
        return True
    if outcome.kind is Kind.API_ERROR:
        # The author says what such an answer means, also to a request that isn't repeatable otherwise.
        return outcome.is_passing
    if outcome.kind is Kind.HTTP_ERROR:
        # A server that says when to come again expects it, whatever the status (RFC 9110, 10.2.3).
        if outcome.retry_after_s is not None and repeatable:
            return True
        # Only 429 says that the request was not carried out; after any other status nobody knows.
        return outcome.status in policy.statuses and (repeatable or outcome.status == 429)
    return (outcome.kind in TRANSIENT or outcome.garbled) and repeatable
