"""How far a validation is: written as it goes on, read by whoever reports it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from airflow_fanout.model.outcome import Record

# The rate is that of the last seconds.
RATE_OVER_S = 10.0
# Without a record for so long, somebody's function is at work.
SILENT_S = 3.0
COUNTED_EACH = 1000


class Judging:
    """The reading that a validation is at, and how many records it has seen of how many.

    :param total: the number of parameters.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self.begin("Looking for the records that count")

    def begin(self, step: str) -> None:
        """Start a reading of the journal, or what comes before it."""
        self.step, self.done, self._moved = step, 0, self._clock()
        self._moments: deque[tuple[float, int]] = deque([(self._moved, 0)])

    def watched(self, step: str, records: Iterable[Record]) -> Iterator[Record]:
        """Yield records, and count them."""
        self.begin(step)
        number = 0
        for number, record in enumerate(records, start=1):
            yield record
            if number % COUNTED_EACH == 0:
                self.done, self._moved = number, self._clock()
        self.done, self._moved = number, self._clock()

    def snapshot(self) -> dict[str, Any]:
        """Return the few numbers that people want, as plain JSON."""
        rate = self._rate_per_s()
        return {"step": self.step, "total": self._total, "done": self.done, "rate_per_s": round(rate, 1)}

    def line(self) -> str:
        """Return a line for the log: how far it is, or for how long nothing has moved."""
        rate = self._rate_per_s()
        done = f"{self.step}: {self.done:,} of {self._total:,} records"
        silent_s = self._clock() - self._moved
        if self.done and silent_s >= SILENT_S:
            return f"{done}; a check's own function has been at work on them for {silent_s:,.0f} s"
        left = f", {(self._total - self.done) / rate:,.0f} s left" if rate else ""
        return f"{done}, {rate:,.0f}/s{left}"

    def _rate_per_s(self) -> float:
        now = self._clock()
        self._moments.append((now, self.done))
        while len(self._moments) > 2 and self._moments[1][0] <= now - RATE_OVER_S:
            self._moments.popleft()
        begun, done = self._moments[0]
        return (self.done - done) / (now - begun) if now > begun else 0.0
