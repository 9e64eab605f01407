"""When the clients of a budget ask again: one after another, so MongoDB has as much to do for any number of them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from airflow_fanout.control.budget_state import BudgetClient, Limits
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.shares import Claim, fair_shares

# A question is two operations of MongoDB's, and sometimes four: at most ten per second.
GAP_US = 300_000
# A client asks once in so long, if there are few of them.
LEASE_US = 1_000_000
# A lease ends so long after its client asks for the next one.
AHEAD_US = 500_000
# Those whose turn it is, the first rank that waits, and the ranks behind it: how they share the questions.
ITS_TURN, WAITS, WAITS_BEHIND = range(3)
WEIGHTS = (5, 1, 1)
# A turn is brief if all that is needed in it can be sent in this time.
BRIEF_US = 2_000_000
# Tasks that begin at one moment ask one after another, so far apart on average: others ask as well.
FIRST_GAP_US = 400_000
# No task waits for longer than this before its first question, however many shards its run has.
LONGEST_DELAY_US = 8_000_000


class NextQuestion(NamedTuple):
    """When a client asks again, the last moments for which clients are asked to, and how long leases are."""

    asks_us: int
    lines_us: tuple[int, ...]
    lease_us: int


def next_question(
    client: BudgetClient,
    present: Collection[BudgetClient],
    lines_us: tuple[int, ...],
    limits: Limits,
    now_us: int,
    *,
    is_new: bool,
) -> NextQuestion:
    """Return when a client asks again.

    :param present: the others.
    :param lines_us: the last moments for which a client was asked to come again: of those whose turn it is, and of each
        rank that waits.
    :param is_new: whether it has asked for the first time, which nobody had planned.
    """
    waiting = Counter(each.rank for each in (*present, client) if waits(each, limits))
    first = min(waiting, default=client.rank)
    counts = {ITS_TURN: 1 + len(present) - waiting.total(), WAITS: waiting[first]}
    counts[WAITS_BEHIND] = waiting.total() - waiting[first]
    weights = [*WEIGHTS]
    if client.needs * MICRO**2 <= BRIEF_US * limits.rate_micro:
        # One after another has its turn soon.
        weights[WAITS] = WEIGHTS[ITS_TURN]
    # Twice as often as they will ask: who is alone needn't wait until it is evenly far from the one before.
    wanted = {group: Claim(2 * count * MICRO**2 // LEASE_US, weights[group]) for group, count in counts.items()}
    per_s_micro = fair_shares(MICRO**2 // GAP_US, wanted)
    gaps_us = {group: MICRO**2 // per_s for group, per_s in per_s_micro.items() if per_s}
    # Each rank that waits has a line of its own, which it keeps when it isn't the first one any more.
    line, group, count = 0, ITS_TURN, counts[ITS_TURN]
    if waits(client, limits):
        line, group, count = 1 + client.rank, WAITS if client.rank == first else WAITS_BEHIND, waiting[client.rank]
    # Those that were asked to come later, and have left, keep nobody waiting.
    in_turn_us = min(lines_us[line], now_us + count * gaps_us[group]) + gaps_us[group]
    asks_us = max(now_us + LEASE_US, in_turn_us)
    lines = [*lines_us]
    lines[line] = asks_us
    if is_new:
        most_us = now_us + counts[ITS_TURN] * gaps_us.get(ITS_TURN, GAP_US)
        lines[0] = max(now_us, min(lines[0], most_us)) + GAP_US
    lease_us = max(LEASE_US, counts[ITS_TURN] * gaps_us.get(ITS_TURN, GAP_US)) + AHEAD_US
    return NextQuestion(asks_us, tuple(lines), lease_us)


def first_delay_us(shards: int, uniform: Callable[[float, float], float] = random.uniform) -> int:
    """Return how long a task waits before its first question, in microseconds.

    The tasks of a run often begin at one moment, before any of them can know of the others.

    :param shards: those of its run; one that is alone needn't wait.
    :param uniform: draws evenly from a range.
    """
    return round(uniform(0, min((shards - 1) * FIRST_GAP_US, LONGEST_DELAY_US)))


def waits(client: BudgetClient, limits: Limits) -> bool:
    """Return whether a client waits for its turn, and has nothing under way that others could have."""
    has_places = limits.at_once is not None and client.at_once
    return bool(client.needs) and not client.turn_us and not has_places
