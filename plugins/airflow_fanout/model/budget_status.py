"""What an operator sees of a request budget that fetches share, from one of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec


class BudgetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A budget at one moment, as the fetch knows it.

    :param name: the budget's name.
    :param queue: whose share the fetch uses: the DAG's or the tenant's.
    :param rank: who goes first: "nightly", "manual" or "backfill".
    :param rate_per_s: what all fetches together may send per second; `share_per_s` is this one's share of it.
    :param reserved: how many requests this fetch has reserved and not sent.
    :param clients: how many fetches use the budget.
    :param left: how many requests all of them may still send before the renewal; `None` without a quota.
    :param renewal: when there are more, as a Unix time; `None` without a quota.
    :param waits_for: what keeps the fetch from sending: a renewal, or the end of the quiet hours; `None` if nothing.
    :param is_offline: whether the budget can't be reached.
    :param forecast: what was to be expected before the first request, in words.
    """

    name: str
    queue: str
    rank: str
    rate_per_s: float
    share_per_s: float
    reserved: int
    clients: int
    left: int | None = None
    renewal: float | None = None
    waits_for: str | None = None
    is_offline: bool = False
    forecast: str = ""

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON, the renewal as people write moments."""
        renewal = None if self.renewal is None else datetime.fromtimestamp(self.renewal, UTC)
        return {
            **msgspec.to_builtins(self),
            "rate_per_s": round(self.rate_per_s, 3),
            "share_per_s": round(self.share_per_s, 3),
            "renewal": None if renewal is None else renewal.isoformat(timespec="seconds"),
        }
