"""The thread that the engine runs in: its state, its locks and its connections are no other thread's to use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

import gevent

Result = TypeVar("Result")


class HomeThread:
    """The thread that has made this, with its gevent hub."""

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._steps: deque[Callable[[], None]] = deque()
        # Of the loop's watchers, the one that another thread may use. Nobody waits for it alone.
        self._signal = self._hub.loop.async_(ref=False)
        self._signal.start(self._begin)

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in it."""
        return gevent.get_hub() is self._hub

    def take(self, step: Callable[[], Result]) -> Result:
        """Take a step there, which may wait, in a greenlet of its own; the calling thread waits for its end."""
        # Loaded by then, as it has patched this process; a module that imports it at once would patch others.
        from gevent.monkey import get_original

        is_done = get_original("_thread", "allocate_lock")()
        is_done.acquire()
        results: list[Result] = []
        errors: list[BaseException] = []

        def go() -> None:
            try:
                results.append(step())
            except BaseException as error:  # noqa: BLE001 - it is the thread's
                errors.append(error)
            finally:
                is_done.release()

        self._steps.append(go)
        self._signal.send()
        is_done.acquire()
        if errors:
            raise errors[0]
        return results[0]

    def _begin(self) -> None:
        while self._steps:
            gevent.spawn(self._steps.popleft())
