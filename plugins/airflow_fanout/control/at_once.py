"""How many requests a client of a budget may have under way, of a limit that all clients share."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_fanout.control.budget_state import BudgetAsk, BudgetClient
from airflow_fanout.control.shares import QueuedClaim, whole_shares

# A question is two operations of MongoDB's, and sometimes four: at most ten per second.
GAP_US = 250_000
# A limit on requests at once can't always be divided evenly: which clients have one more changes as often as this.
TURN_US = 10_000_000
# A place that is handed on is nobody's for up to two leases: one to hear that it is gone, one to say so. It is kept for
# this number of leases at least, or most places would be on their way most of the time.
TURN_LEASES = 10


def requests_at_once(
    client: BudgetClient,
    ask: BudgetAsk,
    others: Mapping[str, BudgetClient],
    present: Mapping[str, BudgetClient],
    limit: int | None,
    now_us: int,
) -> int | None:
    """Return how many requests a client may have under way; `None` without a limit.

    What others may still have under way is theirs, whatever their share is now: they give it back when they ask.
    """
    if limit is None:
        return None
    claims = {
        name: QueuedClaim(each.rank, each.queue, each.weight, each.wants_at_once)
        for name, each in {**present, ask.client: client}.items()
    }
    free = limit - sum(other.at_once for other in others.values())
    turn = now_us // max(TURN_US, TURN_LEASES * len(claims) * GAP_US)
    return max(0, min(free, whole_shares(limit, claims, turn)[ask.client]))
