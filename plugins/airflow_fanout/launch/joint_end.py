"""The ends of several engines as one: the worst reason counts, and equal reasons add up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from msgspec.structs import replace

from airflow_fanout.control.breaker import Trip
from airflow_fanout.launch.messages import Ended, Failed
from airflow_fanout.launch.stop_reasons import (
    BatchesRefused,
    BreakerTripped,
    ConnectionsStopped,
    Finished,
    LongOutage,
    LongPause,
    Overtaken,
    StartupFailed,
    Stopped,
    StopReason,
)

# Why an engine ends; a test compares it with the reasons that there are.
_WORST_FIRST = (
    Overtaken,
    StartupFailed,
    BreakerTripped,
    BatchesRefused,
    LongOutage,
    LongPause,
    ConnectionsStopped,
    Stopped,
    Finished,
)


def badness(end: Ended | Failed | None) -> int:
    """Return a number that is lower for a worse end: the fetch ends for the worst reason of its engines."""
    if end is None:
        return -2
    return -1 if isinstance(end, Failed) else _WORST_FIRST.index(type(end.reason))


def ends_all(end: Ended | Failed | None) -> bool:
    """Return whether the other engines of a fetch have to stop because one has ended.

    When the API's budget is closed, each of them stops by itself, when its own requests have had their answers.
    """
    if not isinstance(end, Ended):
        return True
    is_closed = isinstance(end.reason, LongPause) and bool(end.reason.budget)
    return not is_closed and not isinstance(end.reason, Finished)


def together(worst: Finished | StopReason, reasons: Sequence[Finished | StopReason]) -> Finished | StopReason:
    """Add up the reasons of one type: counts are summed, and the longest wait counts.

    :param worst: a reason of that type.
    :param reasons: the reasons of all engines, in the order in which they ended; texts are those of the first one.
    """
    first = next(reason for reason in reasons if type(reason) is type(worst))
    match first:
        case Finished() | Stopped() | Overtaken() | ConnectionsStopped():
            # Of several connections, each is one engine's.
            return first
        case LongPause():
            return max((reason for reason in reasons if isinstance(reason, LongPause)), key=lambda end: end.seconds)
        case LongOutage():
            return replace(first, seconds=max(reason.seconds for reason in reasons if isinstance(reason, LongOutage)))
        case StartupFailed():
            return replace(
                first, requests=sum(reason.requests for reason in reasons if isinstance(reason, StartupFailed))
            )
        case BatchesRefused():
            alike = [reason for reason in reasons if isinstance(reason, BatchesRefused)]
            return replace(
                first,
                batches=sum(reason.batches for reason in alike),
                refused=sum(reason.refused for reason in alike),
            )
        case BreakerTripped():
            return BreakerTripped(_sum_of([reason.finding for reason in reasons if isinstance(reason, BreakerTripped)]))
        case _:
            assert_never(first)


def _sum_of(findings: Sequence[Trip]) -> Trip:
    first = findings[0]
    # The others may have failed for another cause: only the first one's is reported.
    alike = [finding for finding in findings if (finding.cause, finding.status) == (first.cause, first.status)]
    return replace(
        first,
        sample=sum(finding.sample for finding in findings),
        failed=sum(finding.failed for finding in findings),
        of_cause=sum(finding.of_cause for finding in alike),
    )
