"""Waits that gevent's patch leaves to the system, made so that the other calls go on."""

from __future__ import annotations

import os
from typing import Any

import gevent
import gevent.os

# How often to look whether a process has ended.
_LOOK_S = 0.02
# The most ended processes that are remembered until somebody waits for them.
_MOST_ENDED = 1_000


def wait_for_processes() -> None:
    """Let `os.waitpid` wait for processes of multiprocessing's without blocking, too: gevent hasn't started them."""
    os.waitpid = gevent.os.waitpid = _Processes(os.waitpid, gevent.get_hub().loop).waitpid


class _Processes:
    """The processes that have ended and that gevent doesn't know: its loop takes note of all, and drops these.

    :param gevents: gevent's own `waitpid`.
    :param loop: gevent's loop.
    """

    def __init__(self, gevents: Any, loop: Any) -> None:
        self._gevents = gevents
        self._ended: dict[int, int] = {}
        # libev: a watcher of the process 0 hears of all.
        self._watcher = loop.child(0, False, ref=False)  # noqa: FBT003 - its own signature
        self._watcher.start(self._has_ended)

    def waitpid(self, pid: int, options: int) -> tuple[int, int]:
        """Wait for a process as `os.waitpid` does."""
        if pid <= 0 or options & ~os.WNOHANG or pid in gevent.os._watched_children:
            status: tuple[int, int] = self._gevents(pid, options)
            return status
        while (status := self._look(pid)) == (0, 0) and not options:
            gevent.sleep(_LOOK_S)
        return status

    def _look(self, pid: int) -> tuple[int, int]:
        try:
            if pid not in self._ended:
                status: tuple[int, int] = self._gevents(pid, os.WNOHANG)
                return status
        except ChildProcessError:
            # The loop has waited for it already, and will tell in its next turn, if it was a child.
            gevent.sleep(_LOOK_S)
            if pid not in self._ended:
                raise
        return pid, self._ended.pop(pid)

    def _has_ended(self) -> None:
        self._ended[self._watcher.rpid] = self._watcher.rstatus
        if len(self._ended) > _MOST_ENDED:
            del self._ended[next(iter(self._ended))]
