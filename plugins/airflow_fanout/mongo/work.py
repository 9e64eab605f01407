"""How far a load is, and what it waits for: written by its steps, read by whoever reports it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

# The rate is that of the last seconds, and not of the whole load.
RATE_OVER_S = 10.0
# A shorter wait is a busy server.
WAIT_TOLD_AFTER_S = 3.0


class Unanswered(msgspec.Struct):
    """A step that MongoDB hasn't answered yet.

    :param since: by the work's clock.
    :param until: when it is given up; `None` if it may take as long as it takes.
    :param why: returns what is known of the cause; empty as long as nothing is.
    """

    what: str
    since: float
    until: float | None
    why: Callable[[], str]


class LoadWork:
    """The step that a load is at, its documents so far, and the questions that MongoDB hasn't answered."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: list[Unanswered] = []
        self._moments: list[tuple[float, int]] = []
        self.step = ""
        self.done = 0
        self.total = 0

    def begin(self, step: str, total: int = 0) -> None:
        """Start a step.

        :param step: what is done, as the log says it.
        :param total: how many documents there are; 0 if nobody knows.
        """
        with self._lock:
            self.step, self.done, self.total = step, 0, total
            self._moments = [(self._clock(), 0)]

    def add(self, count: int) -> None:
        """Count documents that the step is done with."""
        with self._lock:
            self.done += count

    @contextmanager
    def waiting(self, what: str, limit_s: float | None, why: Callable[[], str] = str) -> Iterator[None]:
        """Say that MongoDB has been asked something, until it has answered or the question is given up."""
        now = self._clock()
        entry = Unanswered(what, now, None if limit_s is None else now + limit_s, why)
        with self._lock:
            self._waiting.append(entry)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.remove(entry)

    def snapshot(self) -> dict[str, Any]:
        """Return the few numbers that people want, as plain JSON."""
        with self._lock:
            now = self._clock()
            self._moments.append((now, self.done))
            recent = [moment for moment in self._moments if moment[0] >= now - RATE_OVER_S]
            self._moments = self._moments[-len(recent) - 1 :]
            begun, done = self._moments[0]
            rate = (self.done - done) / (now - begun) if now > begun else 0.0
        left_s = round((self.total - self.done) / rate) if rate and self.total else None
        return {
            "step": self.step,
            "total": self.total,
            "done": self.done,
            "rate_per_s": round(rate, 1),
            "left_s": left_s,
        }

    def line(self) -> str:
        """Return one line for the log: how far the step is, or what it waits for."""
        if waits := self._wait():
            return waits
        snapshot = self.snapshot()
        if not snapshot["total"]:
            return f"{self.step}: {snapshot['done']:,} documents so far" if snapshot["done"] else self.step
        left = "" if snapshot["left_s"] is None else f", {snapshot['left_s']:,} s left"
        done = (
            f"{snapshot['done']:,} of {snapshot['total']:,} documents ({100 * snapshot['done'] // snapshot['total']} %)"
        )
        return f"{self.step}: {done}, {snapshot['rate_per_s']:,.0f}/s{left}"

    def _wait(self) -> str | None:
        with self._lock:
            oldest = min(self._waiting, key=lambda entry: entry.since, default=None)
            now = self._clock()
            if oldest is None or now - oldest.since < WAIT_TOLD_AFTER_S:
                return None
            end = "There is no time limit"
            if oldest.until is not None:
                moment = datetime.now(UTC) + timedelta(seconds=oldest.until - now)
                end = f"Load waits until {moment:%H:%M:%S} UTC, then fails"
            known = oldest.why()
            cause = f" ({known})" if known else ""
            return f"{self.step}: waiting for {oldest.what} for {now - oldest.since:,.0f} s{cause}. {end}."
