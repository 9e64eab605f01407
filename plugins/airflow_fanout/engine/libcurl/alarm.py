"""An alarm clock on gevent's loop for one greenlet, with as few calls into the loop as can be."""

from __future__ import annotations

import math
import time
from typing import Any

from gevent import get_hub, getcurrent

_READ = 1
# A timer that goes off a moment too early only leads to another one.
_LATER_S = 0.0005


class Alarm:
    """Wakes the greenlet that waits: when a descriptor can be read, when a time has come, or when somebody rings.

    It may wake it for nothing; whoever waits looks for what there is to do. The descriptor's watcher is never stopped,
    and the timer is reset only if a wait is shorter than the one that it was set for.
    """

    def __init__(self, descriptor: int) -> None:
        self._hub = get_hub()
        self._io = self._hub.loop.io(descriptor, _READ)
        self._io.start(self._wake)
        self._timer: Any = None
        self._set_for_s = math.inf
        self._waiting: Any = None
        self._rung = False

    def close(self) -> None:
        """Let go of the loop."""
        self._io.stop()
        self._io.close()
        self._clear_timer()

    def ring(self) -> None:
        """Wake the greenlet, from another one; if it isn't waiting, its next wait is over at once."""
        self._rung = True
        self._hub.loop.run_callback(self._wake)

    def wait(self, seconds: float) -> None:
        """Wait for at most this number of seconds; infinity waits for ever, and 0 for one turn of the loop.

        Even then through a timer: the loop runs fifty callbacks before timers and descriptors have their turn.
        """
        if not self._rung:
            at_s = time.monotonic() + seconds
            if at_s < self._set_for_s - _LATER_S:
                self._clear_timer()
                self._set_for_s = at_s
                self._timer = self._hub.loop.timer(seconds + _LATER_S if seconds > _LATER_S else 0.0)
                self._timer.start(self._strike)
            self._waiting = getcurrent()
            try:
                self._hub.switch()
            finally:
                self._waiting = None
        self._rung = False

    def _strike(self) -> None:
        self._clear_timer()
        self._wake()

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer, self._set_for_s = None, math.inf

    def _wake(self) -> None:
        if self._waiting is not None:
            self._waiting.switch()
