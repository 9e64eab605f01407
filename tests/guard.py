"""Ends what a killed pytest has left: ``python guard.py <mark>`` waits for the end of its stdin, which pytest holds.

Then every process that was started, however indirectly, with the mark in its environment has a moment to end by
itself, as those under a keeper do; after that it is killed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil

MARK = "FANOUT_TESTS_MARK"
GRACE_S = 5.0
KILLING_S = 10.0
LOOK_AGAIN_S = 0.2


def marked(mark: str) -> Iterator[psutil.Process]:
    """Yield every living process with the mark but this one."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == mark:
                yield process


def end(mark: str) -> None:
    """Wait until nobody with the mark is left, and kill who is left after the grace."""
    begun = time.monotonic()
    while (left := list(marked(mark))) and time.monotonic() - begun < GRACE_S + KILLING_S:
        if time.monotonic() - begun > GRACE_S:
            for process in left:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        time.sleep(LOOK_AGAIN_S)


if __name__ == "__main__":
    sys.stdin.read()
    end(sys.argv[1])
