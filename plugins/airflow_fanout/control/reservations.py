"""Who may send when: a pure decision about a request budget that several clients share.

A client asks for the slots of its next lease. It gets its share of each frame that the lease covers. Of a frame that
begins before anybody else asks, it gets all that nobody has taken: otherwise that would be lost. Every slot is given
once, and slots are evenly spaced, so no mistake about shares makes more requests than the rate allows. A client that
dies takes with it the slots that it has. Whose turn it is to have slots is decided in `control.turns`, and when a
client asks again in `control.questions`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from airflow_fanout.control.at_once import requests_at_once
from airflow_fanout.control.budget_state import (
    BudgetAsk,
    BudgetClient,
    BudgetState,
    Limits,
    Override,
    Reservation,
)
from airflow_fanout.control.elapsed import GONE_US, elapsed, part_of_rate
from airflow_fanout.control.frames import MICRO, Frame, SlotRange, frames_until
from airflow_fanout.control.questions import AHEAD_US, next_question
from airflow_fanout.control.shares import queued_shares
from airflow_fanout.control.turns import claim_of, counted_beside, turn_of

# A lease covers about this number of frames: the fewer, the smaller is the state.
FRAMES = 8
# A client may be late by this.
NEAR_US = 100_000
# Of a frame that others can still have slots of, a client takes no more than this number of times its share. Otherwise
# each would have whole frames to itself: who sends nothing for a second and then as fast as all together is late.
FASTEST = 2
# When nobody could ask for a while, some clients still send what they may offline, until this is over.
RETURN_US = 3_000_000
# Of what a client's share was short of, no more than the share of so long is made up for, and at least two requests.
LONGEST_CREDIT_US = 1_000_000
LEAST_CREDIT_MICRO = 2 * MICRO


def reserve(
    state: BudgetState, ask: BudgetAsk, now_us: int, override: Override | None = None
) -> tuple[BudgetState, Reservation]:
    """Return the state after an ask, and the answer.

    :param override: what an operator has set in place of the connections' limits.
    """
    state = elapsed(state, ask, now_us)
    before = state.clients.get(ask.client)
    others = {name: client for name, client in state.clients.items() if name != ask.client}
    present = {name: client for name, client in others.items() if now_us <= client.asks_us + GONE_US}
    limits = _limits([ask.limits, *(client.limits for client in present.values())], override)
    limits = replace(limits, rate_micro=round(limits.rate_micro * part_of_rate(state, now_us)))
    client, is_behind_own = _asking(ask, before, now_us), False
    if ask.needs:
        client, is_behind_own = turn_of(ask.client, client, present, limits, now_us)
    at_once = requests_at_once(ask.client, client, others, present, limits.at_once, now_us)
    client = replace(client, at_once=max(client.wants_at_once if at_once is None else at_once, ask.has_at_once))
    following = next_question(client, present.values(), state.lines_us, limits, now_us, is_new=before is None)
    client = replace(client, asks_us=following.asks_us)
    needs = ask.needs if client.turn_us and at_once != 0 and not ask.leaves else 0
    beside = counted_beside(client, present, now_us)
    share_micro = _share_micro(ask.client, client, beside, limits) if needs else 0
    frames, begin_us = _frames(state, limits, client, now_us)
    taken = _take(
        frames,
        client,
        needs,
        share_micro,
        rate_micro=limits.rate_micro,
        lost_us=_lost_us(client, beside.values(), now_us),
        now_us=now_us,
    )
    until_us = max(state.until_us, *(frame.end_us for frame in taken.frames), 0)
    answer = Reservation(
        now_us=now_us,
        slots=taken.slots,
        asks_us=client.asks_us,
        from_us=begin_us,
        paused_until_us=state.paused_until_us,
        share_micro=share_micro,
        at_once=at_once,
        limits=limits,
        clients=len(present) + 1,
        lease_us=max(following.lease_us, until_us - now_us),
        is_behind_own=is_behind_own,
    )
    if ask.leaves:
        return replace(state, clients=others, frames=taken.frames, until_us=until_us), answer
    client = replace(taken.client, needs=max(0, ask.needs - sum(slots.count for slots in taken.slots)))
    clients = {**others, ask.client: client}
    return (
        replace(state, clients=clients, frames=taken.frames, until_us=until_us, lines_us=following.lines_us),
        answer,
    )


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


def _asking(ask: BudgetAsk, before: BudgetClient | None, now_us: int) -> BudgetClient:
    """Return an asking client as it was when it asked last, but for what the ask says."""
    return BudgetClient(
        rank=ask.rank,
        queue=ask.queue,
        weight=ask.weight,
        limits=ask.limits,
        wants_micro=ask.wants_micro,
        needs=ask.needs,
        credit_micro=before.credit_micro if before else 0,
        asks_us=now_us,
        until_us=max(now_us, before.until_us) if before else now_us,
        wants_at_once=ask.wants_at_once,
        at_once=before.at_once if before else 0,
        lasts_us=ask.lasts_us,
        turn_us=before.turn_us if before else 0,
    )


def _share_micro(name: str, client: BudgetClient, beside: Mapping[str, BudgetClient], limits: Limits) -> int:
    """Return a client's share of the rate; who has all that it needs, or no request at once, has none."""
    claims = {other: claim_of(each) for other, each in beside.items() if each.at_once}
    return queued_shares(limits.rate_micro, claims | {name: claim_of(client)})[name]


def _lost_us(client: BudgetClient, beside: Collection[BudgetClient], now_us: int) -> int:
    """Return the moment before which all others have had what they can have of the frames."""
    # Who is late has most likely died.
    on_time = [each for each in beside if now_us < each.asks_us + NEAR_US]
    return min((each.until_us if each.turn_us else each.asks_us for each in on_time), default=client.asks_us + AHEAD_US)


def _frames(state: BudgetState, limits: Limits, client: BudgetClient, now_us: int) -> tuple[tuple[Frame, ...], int]:
    """Return the frames that a client's lease may cover, and when the first slot of them may be."""
    begin_us = max(now_us, state.paused_until_us)
    if limits.offline_micro:
        begin_us = max(begin_us, state.returned_us + RETURN_US)
    if not limits.rate_micro or not client.turn_us:
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
    if not client.turn_us:
        return _Taken(frames, (), replace(client, credit_micro=0))
    left, slots, due_micro = [], [], client.credit_micro
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
        count = min(room, frame.left)
        if frame.begin_us >= lost_us:
            most = max(1, FASTEST * share_micro * frame.length_us // MICRO**2)
            count = min(count, most, max(0, due_micro // MICRO))
        count = min(count, max(0, pace_micro // MICRO))
        if count:
            taken_count, count = frame.reach(count, now_us)
            frame, taken = frame.take(taken_count)  # noqa: PLW2901 - what is left of it
            slots.append(taken)
        left.append(frame)
        room -= count
        due_micro, pace_micro = due_micro - count * MICRO, pace_micro - count * MICRO
    most_credit_micro = max(LEAST_CREDIT_MICRO, share_micro * LONGEST_CREDIT_US // MICRO) if share_micro else 0
    client = replace(
        client,
        credit_micro=max(-most_credit_micro, min(due_micro, most_credit_micro)),
        until_us=until_us,
    )
    return _Taken(tuple(left), tuple(slots), client)
