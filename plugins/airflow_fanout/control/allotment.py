"""Reservations within quotas and outside of quiet hours: as `control.reservations`, and no more than may be counted.

A request counts when it is reserved, for the latest moment at which it may be sent. What a client hasn't sent by then,
it gives back with its next ask; what a client has reserved that dies, is lost.
"""

from __future__ import annotations

from msgspec.structs import replace

from airflow_fanout.control.allowance import LATE_US, Allowance, Allowed, Usage
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
    before = _without_unused(allowance, state.usage, ask, now_us)
    allowed = allowance.allowed(before, max(1, ask.needs), now_us)
    state, answer = reserve(state, replace(ask, needs=min(ask.needs, allowed.requests)), now_us, override)
    slots = _at_most(_before(answer.slots, allowed.until_us), allowed.requests)
    counted_us = max((slot.begin_us + slot.length_us for slot in slots), default=now_us) + LATE_US - 1
    usage = allowance.taken(before, sum(slot.count for slot in slots), counted_us, now_us)
    answer = replace(
        answer,
        slots=slots,
        counted_us=counted_us,
        left=min(allowance.left(usage, now_us), default=None),
        renewal_us=_renewal_us(allowance, allowed, now_us),
        waits_for=allowed.why,
        usage=before,
        is_closed=not allowed.requests,
    )
    return replace(state, usage=usage), answer


def _without_unused(allowance: Allowance, usage: Usage, ask: BudgetAsk, now_us: int) -> Usage:
    for counted_us, requests in ask.unused:
        usage = allowance.taken(usage, -requests, counted_us or now_us, now_us)
    return usage


def _before(slots: tuple[SlotRange, ...], until_us: int | None) -> tuple[SlotRange, ...]:
    """Return the slots that are used before a moment for certain. The others are nobody's: a second's worth."""
    if until_us is None:
        return slots
    return tuple(slot for slot in slots if slot.begin_us + slot.length_us <= until_us - LATE_US)


def _at_most(slots: tuple[SlotRange, ...], requests: int) -> tuple[SlotRange, ...]:
    """Return no more slots than requests that may be counted.

    What is left of a frame that has begun comes with slots that are over, some of which may still be used.
    """
    left, kept = requests, []
    for slot in slots:
        if count := min(slot.count, left):
            kept.append(replace(slot, count=count))
        left -= count
    return tuple(kept)


def _renewal_us(allowance: Allowance, allowed: Allowed, now_us: int) -> int | None:
    """Return when there is more: if nothing may be reserved, when that is over; `None` if nobody knows."""
    if not allowed.requests:
        return allowed.opens_us
    return min(allowance.period_ends_us(now_us), default=None)
