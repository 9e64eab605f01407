"""How many requests fit into a budget now, and when all will have been sent: in virtual time, before the first one.

Moments are microseconds since 1970. What others take of the budget meanwhile nobody knows, so it is as if nobody did.
"""

from __future__ import annotations

import math
from datetime import UTC, tzinfo

import msgspec

from airflow_fanout.control.allowance import LATE_US, Allowance, Allowed, Usage
from airflow_fanout.control.quota import SECOND_US, from_us

# Beyond this number of steps, the rest is taken to go on as it did so far.
MOST_STEPS = 2_000


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before the first request.

    :param needed: the least number of requests.
    :param fits: how many of them are sent before the first renewal.
    :param renewal_us: when that is; `None` if all fit, or if nothing is ever renewed.
    :param complete_us: when all are sent; `None` if no rate is known and nothing has to wait.
    :param per_s: the rate that it is reckoned with; `None` if there is no limit.
    """

    needed: int
    fits: int
    renewal_us: int | None
    complete_us: int | None
    per_s: float | None

    def sentence(self, zone: tzinfo = UTC) -> str:
        """Return it in words, with the moments in a zone."""
        complete = "" if self.complete_us is None else f"; complete by {shown(self.complete_us, zone)}"
        rate = "" if self.per_s is None else f" at {self.per_s:,g}/s"
        if self.renewal_us is None:
            return f"At least {self.needed:,} requests are needed, and all of them fit{complete}{rate}."
        return (
            f"At least {self.needed:,} requests are needed, and {self.fits:,} fit before the renewal at "
            f"{shown(self.renewal_us, zone)}{complete}{rate}, if nothing else uses the budget."
        )


def forecast(allowance: Allowance, usage: Usage, needed: int, per_s: float | None, now_us: int) -> Forecast:
    """Return what is to be expected of a fetch that needs a number of requests, and begins now.

    :param usage: what was counted of the quotas so far.
    :param per_s: the most requests per second; `None` if there is no limit.
    """
    at_us, left, fits = now_us, needed, needed
    renewal_us: int | None = None
    first_us = min(allowance.period_ends_us(now_us), default=None)
    for _ in range(MOST_STEPS):
        allowed = allowance.allowed(usage, left, at_us)
        is_renewed = first_us is not None and at_us >= first_us
        if renewal_us is None and left and (is_renewed or allowed.is_spent):
            fits, renewal_us = needed - left, first_us if is_renewed else allowed.opens_us
        if not left:
            break
        number = _step(allowance, allowed, per_s, at_us)
        at_us = at_us + round(number / per_s * SECOND_US) if number and per_s else max(at_us, allowed.opens_us)
        usage, left = allowance.taken(usage, number, at_us, at_us), left - number
    if left and left < needed:
        at_us += round((at_us - now_us) * left / (needed - left))
    complete_us = at_us if at_us > now_us else None
    return Forecast(needed=needed, fits=fits, renewal_us=renewal_us, complete_us=complete_us, per_s=per_s)


def _step(allowance: Allowance, allowed: Allowed, per_s: float | None, at_us: int) -> int:
    """Return how many requests to send before looking again."""
    if not allowed.requests or per_s is None:
        return allowed.requests
    spans_us = [quota.width_us for quota in allowance.quotas if quota.width_us]
    if allowed.until_us is not None:
        spans_us.append(allowed.until_us - LATE_US - at_us)
    most = min(spans_us, default=math.inf) * per_s / SECOND_US
    return max(1, int(min(allowed.requests, most)))


def shown(moment_us: int, zone: tzinfo) -> str:
    """Return a moment as people write it, in a zone."""
    return f"{from_us(moment_us).astimezone(zone):%Y-%m-%d %H:%M %Z}"
