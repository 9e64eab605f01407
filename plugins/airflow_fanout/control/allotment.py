"""Reservations within quotas and outside of quiet hours: as `control.reservations`, and no more than may be counted.

A request counts when it is reserved, for the latest moment at which it may be sent. What a client hasn't sent by then,
it gives back with its next ask; what a client has reserved that dies, is lost.
"""

from __future__ import annotations

from msgspec.structs import replace

from airflow_fanout.control.allowance import LATE_US, Allowed, Usage
from airflow_fanout.control.budget_state import BudgetAsk, BudgetState, Override, Reservation
from airflow_fanout.control.frames import SlotRange
from airflow_fanout.control.reservations import reserve


def allot(
    state: BudgetState, ask: BudgetAsk, now_us: int, override: Override | None = None
) -> tuple[BudgetState, Reservation]:
    """Return the state after an ask, and the answer, which has no more slots than the ask's allowance lets through.

    :param override: what an operator has set in place of the connections' limits.
    """
    allowance = ask.allowance
    if allowance is None:
        return reserve(state, ask, now_us, override)
    before: Usage = state.usage
    for counted_us, requests in ask.unused:
        before = allowance.taken(before, -requests, counted_us or now_us, now_us)
    allowed = allowance.allowed(before, max(1, ask.needs), now_us)
    state, answer = reserve(state, replace(ask, needs=min(ask.needs, allowed.requests)), now_us, override)
    slots = _usable(answer.slots, allowed)
    counted_us = max((slot.begin_us + slot.length_us for slot in slots), default=now_us) + LATE_US - 1
    usage = allowance.taken(before, sum(slot.count for slot in slots), counted_us, now_us)
    next_period_us = min(allowance.period_ends_us(now_us), default=None)
    answer = replace(
        answer,
        slots=slots,
        counted_us=counted_us,
        left=min(allowance.left(usage, now_us), default=None),
        renewal_us=next_period_us if allowed.requests else allowed.opens_us,
        waits_for=allowed.why,
        usage=before,
        is_closed=not allowed.requests,
    )
    return replace(state, usage=usage), answer


def _usable(slots: tuple[SlotRange, ...], allowed: Allowed) -> tuple[SlotRange, ...]:
    """Return the slots that are used in time for certain, no more than may be counted. The others are nobody's.

    What is left of a frame that has begun comes with slots that are over. There may be more slots than requests that
    may be counted, and the last one is still to come. So the first ones are left out: otherwise a client that needs one
    more request would never get a slot that it can use.
    """
    left, kept = allowed.requests, []
    for slot in reversed(slots):
        is_in_time = allowed.until_us is None or slot.begin_us + slot.length_us <= allowed.until_us - LATE_US
        if is_in_time and (count := min(slot.count, left)):
            kept.append(replace(slot, first=slot.first + slot.count - count, count=count))
            left -= count
    return tuple(reversed(kept))
