"""The processes that an author's function starts: they live no longer than the engine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path

# https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")
# The states of a process that a signal or a debugger has stopped.
STOPPED = frozenset("Tt")
# The state of one that the kernel lets wait, for a file system that doesn't answer, say.
WAITING = frozenset("D")


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends, where the system knows how: they stay findable."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants(pid: int, but: Collection[int] = ()) -> int:
    """Kill all that a process has started, directly or not, but for some; return how many processes these were."""
    killed = 0
    for child in _descendants(pid):
        if child not in but:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
                killed += 1
    return killed


def trackers() -> Collection[int]:
    """Return the process that multiprocessing keeps to tidy up after its others; it ends by itself with this one."""
    module = sys.modules.get("multiprocessing.resource_tracker")
    pid = getattr(getattr(module, "_resource_tracker", None), "_pid", None)
    return () if pid is None else (pid,)


def end_group(pid: int) -> None:
    """Kill the process group that a process leads or has led.

    Its number is free for others only when the process is no longer waited for and nothing is left of the group.
    """
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def state(pid: int) -> str:
    """Return the state of a process as one letter (proc(5)): "T" and "t" are stopped; "" where nobody can say."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def _descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for child in [int(path.name) for path in _PROC.glob("[0-9]*")]:
        fields = _stat(child)
        if len(fields) > 1 and fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(child)
    pids = [pid]
    for known in pids:
        pids += children.get(known, [])
    return pids[1:]


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, which may have spaces and brackets in it."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
