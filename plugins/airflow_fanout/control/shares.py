"""Fair shares of a limit: max-min fairness with weights (D. Bertsekas, R. Gallager, "Data Networks", 1992, 6.5.2).

Nobody gets more than it wants; what one doesn't want goes to the others, in the ratio of their weights.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Claim(NamedTuple):
    """What one wants of a limit, and its weight; both are whole numbers."""

    wants: int
    weight: int


class QueuedClaim(NamedTuple):
    """What a client wants of a limit: its rank (the lowest goes first), and its queue with that queue's weight."""

    rank: int
    queue: str
    weight: int
    wants: int


def fair_shares(limit: int, claims: Mapping[Key, Claim]) -> dict[Key, int]:
    """Return the share of each claim; together they are at most the limit.

    :param limit: a whole number; so are the shares, rounded down.
    """
    shares: dict[Key, int] = {}
    left, weights = limit, sum(claim.weight for claim in claims.values())
    # Who wants the least for its weight comes first: what it leaves belongs to all after it.
    ordered = sorted(claims.items(), key=lambda item: item[1].wants / item[1].weight)
    for place, (key, claim) in enumerate(ordered):
        if claim.wants * weights > left * claim.weight:
            return shares | {key: left * claim.weight // weights for key, claim in ordered[place:]}
        shares[key] = claim.wants
        left, weights = left - claim.wants, weights - claim.weight
    return shares


def queued_shares(limit: int, claims: Mapping[str, QueuedClaim]) -> dict[str, int]:
    """Return the share of each client: by rank, then by queue and weight, then evenly within the queue."""
    shares: dict[str, int] = {}
    left = limit
    for rank in sorted({claim.rank for claim in claims.values()}):
        queues = _queues(claims, rank)
        wants = {
            queue: Claim(sum(claims[client].wants for client in clients), claims[clients[0]].weight)
            for queue, clients in queues.items()
        }
        for queue, share in fair_shares(left, wants).items():
            shares |= fair_shares(share, {client: Claim(claims[client].wants, 1) for client in queues[queue]})
        left = limit - sum(shares.values())
    return shares


def whole_shares(limit: int, claims: Mapping[str, QueuedClaim]) -> dict[str, int]:
    """Return shares that use the limit up as far as somebody wants it, although they are whole numbers.

    What rounding leaves goes to clients of the lowest rank, one each.
    """
    shares = queued_shares(limit, claims)
    left = limit - sum(shares.values())
    for client, claim in sorted(claims.items(), key=lambda item: (item[1].rank, item[0])):
        more = min(1, left, claim.wants - shares[client])
        shares[client], left = shares[client] + more, left - more
    return shares


def _queues(claims: Mapping[str, QueuedClaim], rank: int) -> dict[str, list[str]]:
    queues: dict[str, list[str]] = {}
    for client, claim in claims.items():
        if claim.rank == rank:
            queues.setdefault(claim.queue, []).append(client)
    return queues
