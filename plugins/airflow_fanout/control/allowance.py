"""What the quotas and quiet hours of an API let through at a moment. Moments are microseconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from airflow_fanout.control.quiet import QuietHours, next_quiet_us, open_us
from airflow_fanout.control.quota import SECOND_US, Counts, Quota
from airflow_fanout.errors import BadSetting

# A request may be sent a second later than it was reserved for, by a clock that isn't quite right: for so long before a
# quota is renewed, or before it gets quiet, nothing is reserved.
LATE_US = 5 * SECOND_US // 4
# A renewal that a task comes back for has at least this share of the quota, unless the task wants less.
WORTH_COMING_BACK = 10

# What was counted for each quota, by its `key`.
Usage: TypeAlias = Mapping[str, Counts]


class Allowed(msgspec.Struct, frozen=True):
    """What may be reserved for a moment.

    :param requests: how many.
    :param until_us: the moment before which they have to be sent; `None` if that doesn't matter.
    :param opens_us: if there are none, the moment from which on there are; else the moment itself.
    :param why: if there are none, what is waited for; empty for a moment that is too close to a renewal.
    :param is_spent: whether a quota is used up.
    """

    requests: int
    until_us: int | None
    opens_us: int
    why: str = ""
    is_spent: bool = False


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """The quotas and the quiet hours of one API, and what is left of them, by what was counted.

    :param quotas: at most one for each `per`; all of them hold.
    :param quiet_hours: hours in which nothing is sent.
    """

    quotas: tuple[Quota, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()

    def check(self) -> None:
        """Raise `BadSetting` for quotas or quiet hours that don't work together."""
        pers = [quota.per for quota in self.quotas]
        if twice := [per for per in pers if pers.count(per) > 1]:
            raise BadSetting("quotas", f"two per {twice[0]}", "one quota for each `per`")
        # Every week is as good as another.
        open_us(self.quiet_hours, 0)

    def allowed(self, usage: Usage, wanted: int, at_us: int) -> Allowed:
        """Return how many of the wanted requests may be reserved, to be sent from a moment on."""
        opens_us = open_us(self.quiet_hours, at_us)
        if opens_us > at_us:
            quiet = ", ".join(str(hours) for hours in self.quiet_hours if open_us([hours], at_us) > at_us)
            return Allowed(0, None, opens_us, f"the end of the quiet hours, {quiet}")
        for quota in self.quotas:
            if not quota.left(usage.get(quota.key, ()), at_us):
                renewal_us = self.renewal_us(usage, wanted, at_us)
                return Allowed(0, None, renewal_us, f"the renewal of the quota, {quota}", is_spent=True)
        until_us = self.until_us(at_us)
        if until_us is not None and at_us >= until_us - LATE_US:
            then = self.allowed(usage, wanted, until_us)
            return Allowed(0, None, then.opens_us, then.why, is_spent=then.is_spent)
        return Allowed(min([wanted, *self.left(usage, at_us)]), until_us, at_us)

    def left(self, usage: Usage, at_us: int) -> list[int]:
        """Return how many requests each quota has left at a moment."""
        return [quota.left(usage.get(quota.key, ()), at_us) for quota in self.quotas]

    def taken(self, usage: Usage, requests: int, at_us: int, now_us: int) -> dict[str, Counts]:
        """Return what was counted after requests were reserved of which the last is sent at a moment.

        :param requests: below 0 for what is given back of a reservation for that moment.
        """
        # Another connection may have other quotas, whose counts go on.
        own = {quota.key: quota.taken(usage.get(quota.key, ()), requests, at_us, now_us) for quota in self.quotas}
        return {**usage, **own}

    def renewal_us(self, usage: Usage, wanted: int, at_us: int) -> int:
        """Return the first moment from which on it is worth coming back for the wanted requests; it isn't quiet then.

        A rolling window gives requests back little by little: a task doesn't come back for each of them.
        """
        renewal_us = at_us
        for quota in self.quotas:
            worth = min(wanted, max(1, quota.requests // WORTH_COMING_BACK))
            renewal_us = max(renewal_us, quota.renewal_us(usage.get(quota.key, ()), at_us, worth))
        return open_us(self.quiet_hours, renewal_us)

    def period_ends_us(self, at_us: int) -> list[int]:
        """Return when the periods end in which the calendar quotas are at a moment."""
        return [quota.period(at_us)[1] for quota in self.quotas if isinstance(quota.per, str)]

    def until_us(self, at_us: int) -> int | None:
        """Return the next moment at which a calendar quota is renewed or it gets quiet; `None` if there is none.

        A reservation mustn't reach beyond it.
        """
        ends = self.period_ends_us(at_us)
        quiet_us = next_quiet_us(self.quiet_hours, at_us)
        return min(ends if quiet_us is None else [*ends, quiet_us], default=None)


def allowance_of(quotas: Sequence[Quota], quiet_hours: Sequence[QuietHours]) -> Allowance | None:
    """Return what limits an API besides its rate; `None` if nothing does."""
    if not quotas and not quiet_hours:
        return None
    return Allowance(quotas=tuple(quotas), quiet_hours=tuple(quiet_hours))
