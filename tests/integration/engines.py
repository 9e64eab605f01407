"""The engines' processes, found from outside."""

from __future__ import annotations

import psutil

from tests.integration.runs import Run, until

PROGRAM = "/engine/__main__.py"


def engine_of(run: Run, map_index: int = -1, *, other_than: psutil.Process | None = None) -> psutil.Process:
    """Return the engine of a run's fetch, which runs; that of a later try, if an earlier one's is named."""

    def running() -> psutil.Process | None:
        # Until the next try begins, Airflow tells the process of the one before, or none.
        pid = run.task("fetch", map_index)["pid"]
        found = [engine for engine in engines_below(pid) if engine != other_than] if pid else []
        return next(iter(found), None)

    found: psutil.Process = until(running, what="an engine")
    return found


def engines_below(pid: int) -> list[psutil.Process]:
    """Return the engines that a process has begun; none if it is gone."""
    try:
        return [child for child in psutil.Process(pid).children(recursive=True) if is_engine(child)]
    except psutil.NoSuchProcess:
        return []


def is_engine(process: psutil.Process) -> bool:
    """Tell whether a process is an engine, by its command line."""
    try:
        return any(part.endswith(PROGRAM) for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False
