"""What a call of a function has sent, and to which call a greenlet belongs."""

from __future__ import annotations

import gevent
import msgspec

from airflow_fanout.engine.call_limit import CallLimit

# Greenlets inherit gevent's `spawn_tree_locals` from the one that spawns them: this is the call that they belong to.
CALL = "airflow_fanout.call"


class CallTraffic(msgspec.Struct, kw_only=True, eq=False):
    """What a call has sent so far.

    :param attempt: the number of its parameter's attempt, counted from 1; `None` for what nobody's call sends.
    :param begun_s: the moment of its beginning.
    :param permit_s: the moment from which on it has a permit that it hasn't used yet; `None` without one.
    :param requests: how many of its requests have ended.
    :param foreign_before: how many requests threads had sent when it began.
    :param waited_s: how long it has waited for permits.
    :param counts: whether a failure for want of an answer counts as an attempt; not in an outage.
    :param is_unanswered: whether one of its requests has had no answer.
    :param limit: its time limit, which stands still while it waits for a permit.
    """

    begun_s: float
    attempt: int | None = None
    permit_s: float | None = None
    requests: int = 0
    foreign_before: int = 0
    waited_s: float = 0.0
    counts: bool = True
    is_unanswered: bool = False
    limit: CallLimit | None = None


def current_call() -> CallTraffic | None:
    """Return the call that this greenlet belongs to."""
    belongs = getattr(gevent.getcurrent(), "spawn_tree_locals", None)
    call: CallTraffic | None = belongs.get(CALL) if belongs else None
    return call
