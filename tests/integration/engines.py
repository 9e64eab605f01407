"""The engines' processes, found from outside."""

from __future__ import annotations

import psutil

from tests.integration.runs import Run, until

PROGRAM = "/engine/__main__.py"


def engine_of(run: Run, map_index: int = -1) -> psutil.Process:
    """Return the engine of a run's fetch, which runs."""
    task = psutil.Process(run.task("fetch", map_index)["pid"])

    def running() -> psutil.Process | None:
        return next(filter(is_engine, task.children(recursive=True)), None)

    found: psutil.Process = until(running, within_s=20, what="an engine")
    return found


def is_engine(process: psutil.Process) -> bool:
    """Tell whether a process is an engine, by its command line."""
    try:
        return any(part.endswith(PROGRAM) for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False
