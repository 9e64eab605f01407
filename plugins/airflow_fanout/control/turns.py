"""Whose turn it is among the clients of a budget.

If all clients held slots, each would hold them for as long as it takes to ask all the others, and whoever goes first
would have to wait for that. So only the clients whose turn it is hold slots: as many of a queue as can use its share.
The others hold nothing, and ask rarely. A turn ends with a client's requests, or after `TURN_US` if another client of
the queue waits.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from msgspec.structs import replace

from airflow_fanout.control.budget_state import BudgetClient, Limits
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.shares import QueuedClaim, queued_shares

# It is the turn of this number of clients, even if fewer can use the rate: one that dies, or has sent its last request,
# is then hardly missed.
TURNS = 8
# With a limit on requests at once, each of these has this number of places at least. If they can't use the rate, more
# clients have their turn, with at least `LEAST_PLACES` each. The fewer places a client has, the more often it has a
# slot and none of them is free.
PLACES = 8
LEAST_PLACES = 2
TURN_US = 60_000_000
# While turns are over, those that are left, and one more, can use this part of the queue's share: who is next has its
# turn after a while.
MOSTLY = 31 / 32
# Who needs no more requests than these, or than this time has at the whole rate, doesn't wait behind others that need
# more. Nor does a list that is read page by page.
FEW = 8
FEW_US = 250_000
# A share that is smaller than this part of the rate is what rounding leaves.
LEAST_SHARE = 1_000
# Slots after the next question of a client that goes first are left to it, if it asks within this time.
SOON_US = 1_500_000


def turn_of(
    name: str, client: BudgetClient, present: Mapping[str, BudgetClient], limits: Limits, now_us: int
) -> tuple[BudgetClient, bool]:
    """Return a client that needs requests, with its turn, and whether it waits for others of its own queue.

    :param present: the others.
    """
    beside = counted_beside(client, present, now_us)
    claims = {other: claim_of(each) for other, each in beside.items()}
    # What the queue can have, if this client wants all of it.
    claims[name] = QueuedClaim(client.rank, client.queue, client.weight, limits.rate_micro)
    shares = queued_shares(limits.rate_micro, claims)
    busy = {other: each for other, each in beside.items() if each.turn_us and each.needs}
    own = {other: each for other, each in busy.items() if (each.rank, each.queue) == (client.rank, client.queue)}
    queue_micro = shares[name] + sum(shares[other] for other in own)
    if queue_micro * LEAST_SHARE <= limits.rate_micro:
        return replace(client, turn_us=0), False
    queues = {each.queue for each in busy.values() if each.rank == client.rank} | {client.queue}
    least, most = _numbers(limits.at_once, len(queues))
    if client.needs <= max(FEW, limits.rate_micro * FEW_US // MICRO**2):
        least *= 2
    own_micro = sum(claims[other].wants for other in own)
    if client.turn_us:
        is_enough = len(own) >= least - 1 and own_micro + claim_of(client).wants >= MOSTLY * queue_micro
        is_over = is_enough and now_us >= client.turn_us + TURN_US
    else:
        # What it had under way in its last turn, it has only just given back.
        is_over = bool(limits.at_once is not None and client.at_once)
    is_covered = len(own) >= least and own_micro >= queue_micro
    if len(busy) >= most or is_covered or (is_over and _is_awaited(client, present)):
        return replace(client, turn_us=0), True
    if client.turn_us:
        return client, False
    # How fast it is, nobody knows yet: most likely no faster than others of its queue.
    known_micro = max((each.wants_micro for each in own.values()), default=client.wants_micro)
    return replace(client, turn_us=now_us, wants_micro=min(client.wants_micro, known_micro)), False


def counted_beside(client: BudgetClient, present: Mapping[str, BudgetClient], now_us: int) -> dict[str, BudgetClient]:
    """Return those of the present clients with which a client shares: whose turn it is, and who goes first."""
    return {
        name: each
        for name, each in present.items()
        if each.turn_us or (each.rank < client.rank and each.asks_us <= now_us + SOON_US)
    }


def _numbers(at_once: int | None, queues: int) -> tuple[int, int]:
    """Return how many clients of a queue have their turn at least, and how many of all queues at most."""
    if at_once is None:
        return max(1, TURNS // queues), sys.maxsize
    return max(1, min(TURNS, at_once // PLACES) // queues), max(1, at_once // LEAST_PLACES)


def claim_of(client: BudgetClient) -> QueuedClaim:
    """Return what a client claims of the rate: at most that at which all that it needs is sent in half a second."""
    return QueuedClaim(client.rank, client.queue, client.weight, min(client.wants_micro, 2 * client.needs * MICRO))


def _is_awaited(client: BudgetClient, present: Mapping[str, BudgetClient]) -> bool:
    """Return whether others of its queue wait for a client's turn to end."""
    return any(
        not each.turn_us and each.needs and (each.rank, each.queue) == (client.rank, client.queue)
        for each in present.values()
    )
