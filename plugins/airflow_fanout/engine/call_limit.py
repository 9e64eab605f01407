"""A call's time limit, which doesn't count the time that the engine itself makes the call wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent


class CallLimit(gevent.Timeout):  # type: ignore[misc] # gevent has no type hints
    """A time limit that knows whether it has struck; gevent's own counts as pending until its callback is over.

    :param seconds: how long the greenlet that starts it may take, waits for permits left out.
    """

    has_struck = False

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.timer: Any
        self._greenlet = gevent.getcurrent()
        self._until_s = time.monotonic() + seconds
        self._waits = 0

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let the time stand still, as long as at least one of the call's requests waits for its permit."""
        self._waits += 1
        if self._waits == 1:
            self._left_s = self._until_s - time.monotonic()
            self.timer.stop()
        try:
            yield
        finally:
            self._waits -= 1
            if not self._waits:
                self._resume()

    def close(self) -> None:
        """End the limit; a greenlet that the call has left behind may still wait."""
        self._greenlet = None
        super().close()

    def _resume(self) -> None:
        if self._greenlet is None:
            return
        self._until_s = time.monotonic() + self._left_s
        # A timer that was stopped begins with its first duration again.
        self.timer.close()
        self.timer = gevent.get_hub().loop.timer(max(self._left_s, 0.0), priority=-1)
        self.timer.start(self._on_expiration, self._greenlet, self, update=True)

    def _on_expiration(self, prev_greenlet: Any, ex: BaseException) -> None:
        self.has_struck = True
        super()._on_expiration(prev_greenlet, ex)
