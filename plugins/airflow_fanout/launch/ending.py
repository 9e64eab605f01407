"""The engine's last word, as the parent understands it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import assert_never

from airflow_fanout.control import breaker
from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.connection_errors import ConnectionsGivenUp
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
from airflow_fanout.launch.messages import Ended, Failed
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.stop_reasons import (
    BatchesRefused,
    BreakerTripped,
    ConnectionsStopped,
    ConnectionStopped,
    Finished,
    LongOutage,
    LongPause,
    OneStopReason,
    Overtaken,
    StartupFailed,
    Stopped,
)
from airflow_fanout.model.outcome import Kind
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


def _error(progress: Progress, reason: OneStopReason, connection: str) -> FanoutError:
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
    if isinstance(last.reason, ConnectionsStopped):
        raise given_up(last.progress, last.reason.stopped, 0, {})
    raise _error(last.progress, last.reason, connection)


def given_up(
    progress: Progress, stopped: Sequence[ConnectionStopped], connections: int, failures: Mapping[str, BaseException]
) -> FanoutError:
    """Return the error of a fetch of which some connections were stopped.

    If all that is missing is a pause that their APIs have asked for, that is a `LongWait` until the first one is over.

    :param connections: how many connections there are.
    :param failures: why there are no credentials, by the ids of the connections.
    """
    errors: dict[str, BaseException] = {}
    for end in stopped:
        so_far = Progress(total=end.total, kinds=Counter({Kind.OK: end.done}), begun=end.begun)
        known = failures.get(end.connection)
        errors[end.connection] = known or _error(so_far, end.reason, f"the connection {end.connection!r}")
    waits = [error for error in errors.values() if isinstance(error, BudgetWait)]
    if len(waits) == len(errors):
        first = min(waits, key=lambda wait: wait.seconds)
        has_moved = progress.done > progress.resumed or not progress.requests
        return type(first)(first.seconds, first.waits_for, progress.done, progress.total, has_moved)
    return ConnectionsGivenUp(
        errors={conn_id: str(error) for conn_id, error in errors.items()},
        connections=connections,
        done=progress.done,
        total=progress.total,
        is_passing=any(isinstance(error, FanoutError) and error.retry for error in errors.values()),
    )
