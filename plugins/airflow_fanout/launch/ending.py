"""The engine's last word, as the parent understands it."""

from __future__ import annotations

from typing import assert_never

from airflow_fanout.control import breaker
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.errors import (
    ApiDown,
    BatchRefused,
    BudgetWait,
    EngineDied,
    EngineFailed,
    EngineRefused,
    EngineStopped,
    LongWait,
    NotStarted,
    Superseded,
    Tripped,
)
from airflow_fanout.launch.messages import (
    BatchesRefused,
    BreakerTripped,
    Ended,
    Failed,
    Finished,
    LongOutage,
    LongPause,
    Overtaken,
    StartupFailed,
    Stopped,
    StopReason,
)
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.reasons import REMEDIES, failures, fix_of


def _tripped(progress: Progress, finding: breaker.Trip, connection: str) -> Tripped:
    return Tripped(
        sample=finding.sample,
        failed=finding.failed,
        of_cause=finding.of_cause,
        cause=failures(finding.cause, finding.status),
        fix=fix_of(finding.cause, finding.status, connection, transient=finding.transient),
        total=progress.total - progress.resumed,
        begun=progress.begun,
        under_way=max(0, progress.begun - max(finding.sample, progress.done - progress.resumed)),
        transient=finding.transient,
    )


def _error(progress: Progress, reason: StopReason, connection: str) -> FanoutError:
    """Return the error that a reason to stop means."""
    error: FanoutError
    match reason:
        case Stopped():
            error = EngineStopped(progress.done, progress.total)
        case Overtaken():
            error = Superseded()
        case LongPause(seconds, budget):
            has_moved = progress.done > progress.resumed or not progress.requests
            kind, waits_for = (BudgetWait, budget) if budget else (LongWait, "the pause that the API asked for")
            error = kind(seconds, waits_for, progress.done, progress.total, has_moved)
        case LongOutage(seconds, why):
            error = ApiDown(seconds, why, progress.done, progress.total)
        case BreakerTripped(finding):
            error = _tripped(progress, finding, connection)
        case BatchesRefused(batches, refused, said):
            error = BatchRefused(batches, refused, said, progress.done, progress.total)
        case StartupFailed(requests, cause, said):
            remedy, filled = REMEDIES[cause], {"connection": connection, "said": said}
            error = NotStarted(requests, remedy.problem.format(**filled), remedy.fix.format(**filled))
        case _:
            assert_never(reason)
    return error


def progress_at_end(
    last: Ended | Failed | None, engine: EngineProcess | Engines, connection: str = "the connection"
) -> Progress:
    """Return the progress of a fetch that has come to its end; raise the error of one that hasn't.

    :param last: the engine's last message; `None` if it ended without one.
    :param connection: what the API's connection is called in a sentence.
    """
    if last is None:
        raise EngineDied(engine.ended or "closed its pipes", engine.last_words)
    if isinstance(last, Failed):
        if last.is_final:
            raise EngineRefused(last.message)
        raise EngineFailed(last.kind, last.message, last.details)
    if isinstance(last.reason, Finished):
        return last.progress
    raise _error(last.progress, last.reason, connection)
