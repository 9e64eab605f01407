"""Why a fetch has ended: it has finished, or it was stopped before its work was done."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from airflow_fanout.control.breaker import Trip
from airflow_fanout.model.outcome import Cause


class Finished(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """All parameters have their outcome."""


class Stopped(msgspec.Struct, frozen=True, array_like=True, tag="stopped"):
    """The engine was asked to stop."""


class Overtaken(msgspec.Struct, frozen=True, array_like=True, tag="superseded"):
    """A newer try of the same fetch has begun."""


class LongPause(msgspec.Struct, frozen=True, array_like=True, tag="wait"):
    """Nothing may be sent for a number of seconds, which is longer than a worker slot is worth.

    :param budget: what of the API's budget is waited for, in words; empty if the server has asked for the pause.
    """

    seconds: float
    budget: str = ""


class LongOutage(msgspec.Struct, frozen=True, array_like=True, tag="outage"):
    """The server has given no answer for `seconds`; `reason` names the last failure."""

    seconds: float
    reason: str


class BreakerTripped(msgspec.Struct, frozen=True, array_like=True, tag="tripped"):
    """The circuit breaker has found that the rest is doomed."""

    finding: Trip


class StartupFailed(msgspec.Struct, frozen=True, array_like=True, tag="not_started"):
    """The first requests all failed, for a cause that waiting doesn't cure; `said` is how the last one failed."""

    requests: int
    cause: Cause
    said: str


class BatchesRefused(msgspec.Struct, frozen=True, array_like=True, tag="batches_refused"):
    """Of the first batches, too many were refused: they are wrong themselves. `said` is how the last one was."""

    batches: int
    refused: int
    said: str


# Why a fetch was stopped before its work was done, or, of several connections, one of these.
OneStopReason: TypeAlias = (
    Stopped | Overtaken | LongPause | LongOutage | BreakerTripped | StartupFailed | BatchesRefused
)


class ConnectionStopped(msgspec.Struct, frozen=True, array_like=True):
    """One of several connections was stopped before its parameters had their outcomes.

    :param total: the parameters of the connection that had no outcome when the engine began; `begun` and `done` of
        these were begun, and have their outcomes now.
    """

    connection: str
    reason: OneStopReason
    total: int
    begun: int
    done: int


class ConnectionsStopped(msgspec.Struct, frozen=True, array_like=True, tag="connections"):
    """Some of several connections were stopped; the others have come to their end."""

    stopped: tuple[ConnectionStopped, ...]


StopReason: TypeAlias = OneStopReason | ConnectionsStopped
