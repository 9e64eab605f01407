"""The engine lives no longer than its parent, however that one ends."""

from __future__ import annotations

import os
import signal

from gevent.monkey import get_original

from airflow_fanout.launch.family import end_descendants

# From the parent's death to the engine's: the time for a stop in good order, then the end in any case.
GRACE_S = 3.0


def end_with_parent(pipe: int) -> None:
    """Watch the pipe that the parent holds open; at its end, stop this process in good order, else by force.

    The watch is a thread of the operating system's, not a greenlet: an author's function that never lets go of
    the processor must not keep an orphan alive.
    """
    start = get_original("_thread", "start_new_thread")
    start(_watch, (pipe, get_original("time", "sleep")))


def _watch(pipe: int, sleep: object) -> None:
    while os.read(pipe, 1 << 16):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(GRACE_S)  # type: ignore[operator] # the original time.sleep, not gevent's
    end_descendants(os.getpid())
    os._exit(os.EX_TEMPFAIL)
