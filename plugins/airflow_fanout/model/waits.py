"""What a fetch waits for while nothing moves, in words: since when, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import msgspec

# What is shorter than this is no wait that anybody asks about.
SHORTEST_S = 3.0


class Reason(IntEnum):
    """Why nothing moves; if several apply, the first one is reported."""

    OUTAGE = 0
    CREDENTIALS = 1
    STARTUP = 2
    PAUSE = 3
    CANARY = 4
    RATE = 5
    RETRIES = 6
    ANSWERS = 7
    JOBS = 8


class Wait(msgspec.Struct, frozen=True):
    """A wait at one moment; moments are Unix times.

    :param why: what is waited for, as a clause.
    :param until: when it ends at the latest, if that is known.
    """

    reason: Reason
    why: str
    since: float
    until: float | None = None

    def __str__(self) -> str:
        until = "" if self.until is None else f", until {_clock(self.until)} at the latest"
        return f"{self.why}, since {_clock(self.since)}{until}"

    def plain(self) -> dict[str, Any]:
        """Return it as plain JSON: the reason by its name in small letters, and moments in ISO 8601, in UTC."""
        since, until = (
            None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
            for moment in (self.since, self.until)
        )
        return {"reason": self.reason.name.lower(), "why": self.why, "since": since, "until": until}


def of_all(waits: Sequence[Wait | None]) -> Wait | None:
    """Return what several engines wait for that share a fetch.

    An outage, or a pause that the API has asked for, is worth telling when one of them waits; anything else when
    nothing moves at all.
    """
    known = [wait for wait in waits if wait is not None]
    first = min(known, key=lambda wait: (wait.reason, wait.since), default=None)
    if first is None or (len(known) < len(waits) and first.reason > Reason.PAUSE):
        return None
    return first


def _clock(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S} UTC"
