"""The engine's last word, as the parent understands it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_fanout.engine.fleet import Fleet
from airflow_fanout.engine.process import EngineProcess, Said
from airflow_fanout.errors import EngineDied, EngineFailed, EngineStopped, FanoutError, LongWait, Superseded, Tripped
from airflow_fanout.progress import Progress

# What the engine says of its end -> the error that it means, from the progress and from what else it says.
_ERRORS: dict[str, Callable[[Progress, dict[str, Any]], FanoutError]] = {
    "stopped": lambda progress, _: EngineStopped(progress.done, progress.total),
    "superseded": lambda _progress, _said: Superseded(),
    "wait": lambda progress, said: LongWait(said["seconds"], progress.done, progress.total),
    "tripped": lambda progress, said: Tripped(**said, saved=progress.total - progress.done),
}


def progress_at_end(said: Said | None, engine: EngineProcess | Fleet) -> Progress:
    """Return the progress of a fetch that has come to its end; raise the error of one that hasn't.

    :param said: the engine's last message that was no progress; `None` if there was none.
    """
    if said is None:
        raise EngineDied(engine.ended or "closed its pipes", engine.last_words)
    if said.what == "failed":
        raise EngineFailed(**said.value)
    progress = Progress.from_json(said.value.pop("progress"))
    if said.what in _ERRORS:
        raise _ERRORS[said.what](progress, said.value)
    return progress
