"""The engine's last word, as the parent understands it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.engines import Engines
from airflow_fanout.launch.errors import (
    ApiDown,
    EngineDied,
    EngineFailed,
    EngineRefused,
    EngineStopped,
    LongWait,
    NotStarted,
    Superseded,
    Tripped,
)
from airflow_fanout.launch.hearing import Message
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.model.outcome import Cause, Kind
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.reasons import REMEDIES, failures, fix_of


def _tripped(progress: Progress, said: dict[str, Any], connection: str) -> Tripped:
    kind, status = Kind(said["cause"]), said["status"]
    return Tripped(
        sample=said["sample"],
        failed=said["failed"],
        of_cause=said["of_cause"],
        cause=failures(kind, status),
        fix=fix_of(kind, status, connection, transient=said["transient"]),
        total=progress.total - progress.resumed,
        begun=progress.begun,
        under_way=max(0, progress.begun - max(said["sample"], progress.done - progress.resumed)),
        transient=said["transient"],
    )


def _not_started(_progress: Progress, said: dict[str, Any], connection: str) -> NotStarted:
    remedy = REMEDIES[Cause(said["cause"])]
    filled = {"connection": connection, "said": said["said"]}
    return NotStarted(said["requests"], remedy.problem.format(**filled), remedy.fix.format(**filled))


# What the engine says of its end -> the error that it means, from the progress, from what else it says, and from what
# the connection is called.
_ERRORS: dict[str, Callable[[Progress, dict[str, Any], str], FanoutError]] = {
    "stopped": lambda progress, *_: EngineStopped(progress.done, progress.total),
    "superseded": lambda *_: Superseded(),
    "wait": lambda progress, said, _: LongWait(said["seconds"], progress.done, progress.total),
    "outage": lambda progress, said, _: ApiDown(said["seconds"], said["reason"], progress.done, progress.total),
    "tripped": _tripped,
    "not_started": _not_started,
}


def _failed(*, kind: str, message: str, details: str, is_final: bool = False) -> FanoutError:
    return EngineRefused(message) if is_final else EngineFailed(kind, message, details)


def progress_at_end(
    said: Message | None, engine: EngineProcess | Engines, connection: str = "the connection"
) -> Progress:
    """Return the progress of a fetch that has come to its end; raise the error of one that hasn't.

    :param said: the engine's last message that was no progress; `None` if there was none.
    :param connection: what the API's connection is called in a sentence.
    """
    if said is None:
        raise EngineDied(engine.ended or "closed its pipes", engine.last_words)
    if said.what == "failed":
        raise _failed(**said.value)
    progress = Progress.from_json(said.value["progress"])
    if said.what in _ERRORS:
        raise _ERRORS[said.what](progress, said.value, connection)
    return progress
