"""What the time that has passed leaves of the state of a request budget."""

from __future__ import annotations

import sys

from msgspec.structs import replace

from airflow_fanout.control.budget_state import BudgetAsk, BudgetClient, BudgetState

# Who hasn't come again for so long after it should have is gone, and the others have its share.
GONE_US = 1_500_000
# A slot can be used for so long after its moment.
LATEST_US = 1_000_000
# An API that asks for a pause takes less than the budget allows: from then on all have this part of the rate that they
# had. The rest comes back little by little, the whole rate in `RECOVERY_US`.
SLOWED = 0.95
RECOVERY_US = 1_000_000_000
# Requests that are refused at about the same time say the same: that one pause is longer than another by so much, or
# one comes so soon after another, says nothing new.
NEWS_US = 500_000
SOON_US = 5_000_000


def elapsed(state: BudgetState, ask: BudgetAsk, now_us: int) -> BudgetState:
    """Return the state at the moment of an ask, without what is over, and with the pause that the ask knows of."""
    if now_us < state.now_us:
        # The clock was put back, or another server has another one: what was to come is as far away as it was.
        state = earlier(state, state.now_us - now_us)
    paused_until_us = max(state.paused_until_us, now_us + ask.pause_us if ask.pause_us else 0)
    if paused_until_us > state.paused_until_us + NEWS_US and now_us >= state.slowed_us + SOON_US:
        state = replace(state, slowed_to=SLOWED * part_of_rate(state, now_us), slowed_us=now_us)
    return replace(
        state,
        clients={name: client for name, client in state.clients.items() if not _is_over(client, now_us)},
        frames=tuple(frame for frame in state.frames if frame.end_us > now_us and frame.begin_us >= paused_until_us),
        now_us=now_us,
        paused_until_us=paused_until_us,
        returned_us=now_us if now_us > _last_due_us(state) + GONE_US else state.returned_us,
    )


def earlier(state: BudgetState, by_us: int) -> BudgetState:
    """Return the state with all its moments earlier, as a clock has it that is behind by as much."""
    return replace(
        state,
        clients={
            name: replace(
                client,
                asks_us=client.asks_us - by_us,
                until_us=client.until_us - by_us,
                turn_us=client.turn_us and client.turn_us - by_us,
            )
            for name, client in state.clients.items()
        },
        frames=tuple(replace(frame, begin_us=frame.begin_us - by_us) for frame in state.frames),
        until_us=state.until_us - by_us,
        lines_us=tuple(line_us - by_us for line_us in state.lines_us),
        now_us=state.now_us - by_us,
        paused_until_us=state.paused_until_us - by_us,
        returned_us=state.returned_us - by_us,
        slowed_us=state.slowed_us - by_us,
    )


def part_of_rate(state: BudgetState, now_us: int) -> float:
    """Return which part of the rate the API seems to take, from 0 to 1: all of it, if it hasn't refused lately."""
    return min(1.0, state.slowed_to + (now_us - state.slowed_us) / RECOVERY_US)


def _last_due_us(state: BudgetState) -> int:
    """Return the moment by which the clients that ask often should all have asked since the last question."""
    often_us = [client.asks_us for client in state.clients.values() if client.turn_us or not client.needs]
    if often_us:
        return max(often_us)
    # Of those that wait, one comes after the other; who is gone doesn't come.
    return min((each.asks_us for each in state.clients.values() if each.asks_us >= state.now_us), default=sys.maxsize)


def _is_over(client: BudgetClient, now_us: int) -> bool:
    """Return whether a client doesn't ask any more, and all of its requests have ended."""
    is_gone = now_us > client.asks_us + GONE_US
    return is_gone and (not client.at_once or now_us > client.until_us + LATEST_US + client.lasts_us)
