"""What is kept of a request budget that several fetches share, what they ask of it, and what they get.

Moments and durations are whole microseconds (`_us`) of one clock, that of whoever keeps the state; clients use only
differences of it. Rates and credits are whole numbers, too: requests per second or requests, times a million
(`_micro`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import msgspec

from airflow_fanout.control.allowance import Allowance
from airflow_fanout.control.frames import Frame, SlotRange
from airflow_fanout.control.quota import Counts

# The number of this form of the state. Clients that know another one must not touch it.
FORMAT = 1


class Rank(IntEnum):
    """Who goes first: as long as a rank wants all of a budget, the ranks after it wait."""

    NIGHTLY = 0
    MANUAL = 1
    BACKFILL = 2


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What all clients of a budget may send together.

    :param rate_micro: requests per second; `offline_micro` is that while the state is out of reach.
    :param at_once: requests under way at once; `None` for no limit.
    """

    rate_micro: int
    at_once: int | None = None
    offline_micro: int = 0


class BudgetAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for.

    :param client: its name, which no other client ever has.
    :param queue: whose share it uses, and that queue's weight.
    :param limits: what its connection says; the lowest ones of all clients count.
    :param wants_micro: the fastest that it can send.
    :param needs: how many requests it has for which it holds no slot.
    :param wants_at_once: the most requests that it can have under way; `has_at_once` is the most that it can have until
        it has read the answer.
    :param lasts_us: how long one of its requests can be under way.
    :param pause_us: for how long the API has asked it not to send.
    :param leaves: whether it needs nothing any more, and has nothing under way.
    :param allowance: the quotas and quiet hours of its connection, if there are any.
    :param unused: the `counted_us` of earlier reservations, each with how many requests of it weren't sent; 0 with a
        number below 0 for requests that were sent without a reservation.
    """

    client: str
    rank: int
    queue: str
    weight: int
    limits: Limits
    wants_micro: int
    needs: int
    wants_at_once: int
    has_at_once: int = 0
    lasts_us: int = 0
    pause_us: int = 0
    leaves: bool = False
    allowance: Allowance | None = None
    unused: tuple[tuple[int, int], ...] = ()


class BudgetClient(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a client since it has asked last, until it asks again.

    :param needs: how many requests it has for which it holds no slot.
    :param credit_micro: the requests that its share has been short of so far; below 0, what it had beyond its share.
    :param asks_us: when it asks again.
    :param until_us: the end of the time for which it has its share.
    :param at_once: the most requests that it can have under way.
    :param turn_us: since when it is its turn; 0 while it isn't.
    """

    rank: int
    queue: str
    weight: int
    limits: Limits
    wants_micro: int
    needs: int
    credit_micro: int
    asks_us: int
    until_us: int
    wants_at_once: int
    at_once: int
    lasts_us: int
    turn_us: int = 0


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a budget.

    :param frames: those that aren't over; `until_us` is the end of the last frame that there was.
    :param lines_us: the last moments for which a client was asked to come again: of those whose turn it is, and of each
        rank that waits.
    :param now_us: the moment of the last ask.
    :param paused_until_us: until when the API has asked that nothing is sent.
    :param returned_us: when a client has asked last after nobody could for a while.
    :param slowed_to: which part of the rate was left when the API has last refused, at `slowed_us`.
    :param usage: what was counted of each quota, by its key.
    """

    format: int = FORMAT
    clients: dict[str, BudgetClient] = {}
    frames: tuple[Frame, ...] = ()
    until_us: int = 0
    lines_us: tuple[int, ...] = (0, 0, 0, 0)
    now_us: int = 0
    paused_until_us: int = 0
    returned_us: int = 0
    slowed_to: float = 1.0
    slowed_us: int = 0
    usage: Mapping[str, Counts] = {}


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator has set in place of the limits of the connections.

    :param rate_micro: requests per second; `None` leaves them as they are, as with `at_once`.
    """

    rate_micro: int | None = None
    at_once: int | None = None


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a client.

    :param now_us: the moment of the answer.
    :param slots: when it may send.
    :param asks_us: when it is to ask again.
    :param from_us: until then, a client that sends what it may offline goes on with it.
    :param paused_until_us: until when the API has asked that nothing is sent.
    :param share_micro: its share of the rate, of `limits.rate_micro`.
    :param at_once: how many requests it may have under way; `None` for no limit.
    :param limits: what counts for all clients at this moment.
    :param clients: how many there are, this one included.
    :param lease_us: the longest time for which a client reserves.
    :param is_behind_own: whether it has no share because others of its queue have their turn.
    :param counted_us: for which moment its requests count; those that aren't sent are given back with it.
    :param left: what is left of the quotas after this; `None` without any.
    :param renewal_us: when there is more; `None` if nobody knows.
    :param usage: what was counted of the quotas before this, by their keys.
    :param is_closed: whether a quota or quiet hours let nothing through before that; `waits_for` says which.
    """

    now_us: int
    slots: tuple[SlotRange, ...] = ()
    asks_us: int
    from_us: int
    paused_until_us: int
    share_micro: int
    at_once: int | None
    limits: Limits
    clients: int
    lease_us: int
    is_behind_own: bool = False
    counted_us: int = 0
    left: int | None = None
    renewal_us: int | None = None
    waits_for: str = ""
    usage: Mapping[str, Counts] = {}
    is_closed: bool = False


class LedgerAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A reservation, as who has asked for it has it.

    :param ahead_us: by how much the clock of its moments is ahead of this machine's monotonic clock.
    :param remark: what an operator has set, as a sentence; empty if nothing.
    """

    reservation: Reservation
    ahead_us: int
    remark: str = ""
