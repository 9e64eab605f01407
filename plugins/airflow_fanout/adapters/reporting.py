"""What a long step says of itself while it goes on: a line in the log every few seconds, and the task's state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from airflow_fanout.adapters.progress_store import ProgressStore

LOGGED_EACH_S = 5.0
STORED_EACH_S = 1.0

log = logging.getLogger(__name__)


class Reports(Protocol):
    """Something under way that knows how far it is."""

    def line(self) -> str:
        """Return a line for the log."""

    def snapshot(self) -> dict[str, Any]:
        """Return the same as plain JSON."""


@contextmanager
def reported(
    work: Reports,
    store: ProgressStore,
    *,
    logged_each_s: float = LOGGED_EACH_S,
    stored_each_s: float = STORED_EACH_S,
) -> Iterator[None]:
    """Report a step from a thread of its own, so that a step that waits is reported, too, and its end last."""
    over = threading.Event()
    every = max(1, round(logged_each_s / stored_each_s))

    def put() -> None:
        # Without a supervisor nobody sees it, and the end of the task isn't this step's business.
        with suppress(ConnectionError, EOFError):
            store.put(work.snapshot())

    def report() -> None:
        ticks = 0
        while not over.wait(stored_each_s):
            ticks += 1
            put()
            if ticks % every == 0 and (line := work.line()):
                log.info("%s", line)

    thread = threading.Thread(target=report, name="fanout-report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        put()
