"""What a long step says of itself while it goes on: a line in the log every few seconds, and the task's state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

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
    context: Mapping[str, Any],
    *,
    logged_each_s: float = LOGGED_EACH_S,
    stored_each_s: float = STORED_EACH_S,
) -> Iterator[None]:
    """Report a step from a thread of its own, so that a step that waits is reported, too, and its end last."""
    over = threading.Event()
    store = _store(context)
    every = max(1, round(logged_each_s / stored_each_s))

    def report() -> None:
        ticks = 0
        while not over.wait(stored_each_s):
            ticks += 1
            store(work.snapshot())
            if ticks % every == 0 and (line := work.line()):
                log.info("%s", line)

    thread = threading.Thread(target=report, name="fanout-report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        store(work.snapshot())


def _store(context: Mapping[str, Any]) -> Callable[[dict[str, Any]], None]:
    """Return what keeps a state where Airflow shows it; it fails once at most, and harms nothing."""
    broken = False

    def store(state: dict[str, Any]) -> None:
        nonlocal broken
        if broken:
            return
        try:
            context["task_state_store"].set("progress", state)
        except Exception as error:  # noqa: BLE001 - a picture of the work is not worth the work
            broken = True
            log.warning("The progress could not be shown: %s", type(error).__name__)

    return store
