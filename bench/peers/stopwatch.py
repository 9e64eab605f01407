"""The time that one request took."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Collects latencies in ms: `begun = watch.now()` before a request, `watch.stop(begun)` after its answer."""

    now = staticmethod(perf_counter)

    def __init__(self) -> None:
        self.latencies: list[float] = []

    def stop(self, begun: float) -> None:
        """Note a request that has its answer."""
        self.latencies.append((perf_counter() - begun) * 1000)
