"""Counts what the engine does, as it does it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from airflow_fanout.latency import Histogram
from airflow_fanout.outcome import Kind
from airflow_fanout.progress import Progress


class Meter:
    """The running counts behind `Progress`."""

    def __init__(self, *, total: int, resumed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._resumed = resumed
        self._kinds: Counter[str] = Counter({Kind.OK: resumed} if resumed else {})
        self._requests = 0
        self._latency = Histogram()
        self._clock = clock
        self._begun = clock()

    def sent(self, ms: float) -> None:
        """Count an attempt that has ended, however it ended."""
        self._requests += 1
        self._latency.add(ms)

    def answered(self, latencies_ms: Sequence[float]) -> None:
        """Count parameters that have their results, each by the attempt that has ended."""
        self._requests += len(latencies_ms)
        self._latency.extend(latencies_ms)
        self._kinds[Kind.OK] += len(latencies_ms)

    def ended(self, kind: Kind) -> None:
        """Count a parameter that has its outcome."""
        self._kinds[kind] += 1

    @property
    def seconds(self) -> float:
        """The time since the beginning."""
        return self._clock() - self._begun

    def progress(
        self, *, in_flight: int, waiting: int, begun: int = 0, limits: dict[str, Any] | None = None
    ) -> Progress:
        """Return the counts of this moment."""
        return Progress(
            total=self._total,
            kinds=self._kinds,
            resumed=self._resumed,
            requests=self._requests,
            in_flight=in_flight,
            waiting=waiting,
            begun=begun,
            seconds=self.seconds,
            latency=self._latency,
            limits=limits or {},
        )
