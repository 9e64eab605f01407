"""How many requests a client of a budget may have under way, of a limit that all clients share."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_fanout.control.budget_state import BudgetClient
from airflow_fanout.control.shares import QueuedClaim, whole_shares
from airflow_fanout.control.turns import counted_beside


def requests_at_once(
    name: str,
    client: BudgetClient,
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
    if not client.turn_us:
        return 0
    claims = {
        other: QueuedClaim(each.rank, each.queue, each.weight, each.wants_at_once)
        for other, each in {**counted_beside(client, present, now_us), name: client}.items()
    }
    free = limit - sum(other.at_once for other in others.values())
    return max(0, min(free, whole_shares(limit, claims)[name]))
