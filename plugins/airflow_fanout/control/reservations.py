"""Who may send when: a pure decision about a request budget that several clients share.

A client asks for the slots of its next lease. It gets its share of each frame that the lease covers. Of a frame that
begins before anybody else asks, it gets all that nobody has taken: otherwise that would be lost. Every slot is given
once, and slots are evenly spaced, so no mistake about shares makes more requests than the rate allows. A client that
dies takes with it the slots that it has.

When a client asks again is decided here, too: one after another, at least `GAP_US` apart. So the number of questions
per second doesn't grow with the clients, and their leases do.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from msgspec.structs import replace

from airflow_fanout.control.at_once import GAP_US, requests_at_once
from airflow_fanout.control.budget_state import (
    BudgetAsk,
    BudgetClient,
    BudgetState,
    Limits,
    Override,
    Reservation,
)
from airflow_fanout.control.frames import MICRO, Frame, SlotRange, frames_until
from airflow_fanout.control.shares import QueuedClaim, queued_shares

# A client asks once in so long, if there are few of them.
LEASE_US = 1_000_000
# A lease ends so long after its client asks for the next one.
AHEAD_US = 500_000
# A lease covers about this number of frames: the fewer, the smaller is the state.
FRAMES = 8
# Who hasn't come again for so long after it should have is gone, and the others have its share.
GONE_US = 1_500_000
# A client may be late by this.
NEAR_US = 100_000
# When nobody could ask for a while, some clients still send what they may offline, until this is over.
RETURN_US = 3_000_000
# Of what a client's share was short of, no more than the share of so long is made up for, and at least two requests.
LONGEST_CREDIT_US = 1_000_000
LEAST_CREDIT_MICRO = 2 * MICRO
# A slot can be used for so long after its moment.
LATEST_US = 1_000_000


def reserve(
    state: BudgetState, ask: BudgetAsk, now_us: int, override: Override | None = None
) -> tuple[BudgetState, Reservation]:
    """Return the state after an ask, and the answer.

    :param override: what an operator has set in place of the connections' limits.
    """
    state = _at(state, ask, now_us)
    before = state.clients.get(ask.client)
    others = {name: client for name, client in state.clients.items() if name != ask.client}
    present = {name: client for name, client in others.items() if now_us <= client.asks_us + GONE_US}
    limits = _limits([ask.limits, *(client.limits for client in present.values())], override)
    client = _scheduled(ask, before, state, now_us, clients=len(present) + 1)
    at_once = requests_at_once(client, ask, others, present, limits.at_once, now_us)
    client = replace(client, at_once=max(client.wants_at_once if at_once is None else at_once, ask.has_at_once))
    needs = 0 if at_once == 0 or ask.leaves else ask.needs
    claims = {name: _claim(each) for name, each in present.items()}
    claims[ask.client] = _claim(replace(client, is_served=needs == 0))
    share_micro = queued_shares(limits.rate_micro, claims)[ask.client]
    frames, begin_us = _frames(state, limits, client, now_us)
    # Who is late has most likely died.
    covered_us = [other.until_us for other in present.values() if now_us < other.asks_us + NEAR_US]
    lost_us = min(covered_us, default=client.asks_us + AHEAD_US)
    taken = _take(frames, client, needs, share_micro, rate_micro=limits.rate_micro, lost_us=lost_us, now_us=now_us)
    answer = Reservation(
        now_us=now_us,
        slots=taken.slots,
        asks_us=client.asks_us,
        from_us=begin_us,
        paused_until_us=state.paused_until_us,
        share_micro=share_micro,
        at_once=at_once,
        limits=limits,
        clients=len(claims),
    )
    clients = others if ask.leaves else {**others, ask.client: taken.client}
    until_us = max(state.until_us, *(frame.end_us for frame in taken.frames), 0)
    asks_us = state.asks_us if ask.leaves else client.asks_us
    return replace(state, clients=clients, frames=taken.frames, until_us=until_us, asks_us=asks_us), answer


def _at(state: BudgetState, ask: BudgetAsk, now_us: int) -> BudgetState:
    """Return the state without what is over."""
    if now_us < state.now_us:
        # The clock was put back, or another server has another one: what was to come is as far away as it was.
        state = earlier(state, state.now_us - now_us)
    paused_until_us = max(state.paused_until_us, now_us + ask.pause_us if ask.pause_us else 0)
    is_silent = bool(state.clients) and now_us > state.asks_us + GONE_US
    return replace(
        state,
        clients={name: client for name, client in state.clients.items() if not _is_over(client, now_us)},
        frames=tuple(frame for frame in state.frames if frame.end_us > now_us and frame.begin_us >= paused_until_us),
        now_us=now_us,
        paused_until_us=paused_until_us,
        returned_us=now_us if is_silent else state.returned_us,
    )


def earlier(state: BudgetState, by_us: int) -> BudgetState:
    """Return the state with all its moments earlier, as a clock has it that is behind by as much."""
    return replace(
        state,
        clients={
            name: replace(client, asks_us=client.asks_us - by_us, until_us=client.until_us - by_us)
            for name, client in state.clients.items()
        },
        frames=tuple(replace(frame, begin_us=frame.begin_us - by_us) for frame in state.frames),
        until_us=state.until_us - by_us,
        asks_us=state.asks_us - by_us,
        paused_until_us=state.paused_until_us - by_us,
        returned_us=state.returned_us - by_us,
    )


def _is_over(client: BudgetClient, now_us: int) -> bool:
    """Return whether a client doesn't ask any more, and all of its requests have ended."""
    is_gone = now_us > client.asks_us + GONE_US
    return is_gone and (not client.at_once or now_us > client.until_us + LATEST_US + client.lasts_us)


def _limits(known: list[Limits], override: Override | None) -> Limits:
    """Return the lowest of the limits that clients know, or what an operator has set."""
    at_once = [limits.at_once for limits in known if limits.at_once is not None]
    limits = Limits(
        rate_micro=min(limits.rate_micro for limits in known),
        at_once=min(at_once, default=None),
        offline_micro=min(limits.offline_micro for limits in known),
    )
    if override is None:
        return limits
    rate_micro = limits.rate_micro if override.rate_micro is None else override.rate_micro
    return Limits(
        rate_micro=rate_micro,
        at_once=limits.at_once if override.at_once is None else override.at_once,
        offline_micro=min(limits.offline_micro, rate_micro),
    )


def _scheduled(
    ask: BudgetAsk, before: BudgetClient | None, state: BudgetState, now_us: int, *, clients: int
) -> BudgetClient:
    """Return an asking client, with the moment at which it asks again."""
    # Those that were asked to come later, and have left, keep nobody waiting.
    in_turn_us = min(state.asks_us, now_us + clients * GAP_US) + GAP_US
    return BudgetClient(
        rank=ask.rank,
        queue=ask.queue,
        weight=ask.weight,
        limits=ask.limits,
        wants_micro=ask.wants_micro,
        is_served=False,
        credit_micro=before.credit_micro if before else 0,
        asks_us=max(now_us + LEASE_US, in_turn_us),
        until_us=max(now_us, before.until_us) if before else now_us,
        wants_at_once=ask.wants_at_once,
        at_once=0,
        lasts_us=ask.lasts_us,
    )


def _claim(client: BudgetClient) -> QueuedClaim:
    wants_micro = 0 if client.is_served or not client.at_once else client.wants_micro
    return QueuedClaim(client.rank, client.queue, client.weight, wants_micro)


def _frames(state: BudgetState, limits: Limits, client: BudgetClient, now_us: int) -> tuple[tuple[Frame, ...], int]:
    """Return the frames that a client's lease may cover, and when the first slot of them may be."""
    begin_us = max(now_us, state.paused_until_us)
    if limits.offline_micro:
        begin_us = max(begin_us, state.returned_us + RETURN_US)
    if not limits.rate_micro:
        return state.frames, begin_us
    length_us = (client.asks_us - now_us) // FRAMES
    new = frames_until(client.asks_us + AHEAD_US, max(begin_us, state.until_us), limits.rate_micro, length_us)
    return (*state.frames, *new), begin_us


class _Taken(NamedTuple):
    frames: tuple[Frame, ...]
    slots: tuple[SlotRange, ...]
    client: BudgetClient


def _take(
    frames: tuple[Frame, ...],
    client: BudgetClient,
    needs: int,
    share_micro: int,
    *,
    rate_micro: int,
    lost_us: int,
    now_us: int,
) -> _Taken:
    """Return a client's slots, and what is left of the frames.

    :param lost_us: all others have had their share of the frames that begin before this moment.
    """
    left, slots, served, due_micro = [], [], 0, client.credit_micro
    horizon_us = client.asks_us + AHEAD_US
    until_us = max([client.until_us, *(frame.end_us for frame in frames if frame.begin_us < horizon_us)])
    room = min(needs, max(1, -(-client.wants_micro * (until_us - client.until_us) // MICRO**2)))
    # Who sends slower than the budget allows has a slot whenever it is ready for one, and not all of them at once.
    pace_micro = LEAST_CREDIT_MICRO if client.wants_micro < rate_micro else sys.maxsize
    for frame in frames:
        new_us = max(0, frame.end_us - max(client.until_us, frame.begin_us))
        pace_micro += client.wants_micro * new_us // MICRO
        if frame.begin_us < horizon_us:
            due_micro += share_micro * new_us // MICRO
        count = min(room, frame.left if frame.begin_us < lost_us else min(frame.left, max(0, due_micro // MICRO)))
        count = min(count, max(0, pace_micro // MICRO))
        if count:
            taken_count, count = frame.reach(count, now_us)
            frame, taken = frame.take(taken_count)  # noqa: PLW2901 - what is left of it
            slots.append(taken)
        left.append(frame)
        room, served = room - count, served + count
        due_micro, pace_micro = due_micro - count * MICRO, pace_micro - count * MICRO
    most_credit_micro = max(LEAST_CREDIT_MICRO, share_micro * LONGEST_CREDIT_US // MICRO) if share_micro else 0
    client = replace(
        client,
        is_served=needs <= served,
        credit_micro=max(-most_credit_micro, min(due_micro, most_credit_micro)),
        until_us=until_us,
    )
    return _Taken(tuple(left), tuple(slots), client)
