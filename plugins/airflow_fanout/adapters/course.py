"""How a fetch has gone so far: a moment every few seconds, for the plots of the page."""

from __future__ import annotations

from typing import Any

from airflow_fanout.model.latency import Histogram
from airflow_fanout.model.progress import Progress

# Each is about 40 bytes of JSON, of the 64 KB that Airflow keeps for a value.
MOST_MOMENTS = 180
COLUMNS = ("s", "done", "per_s", "p50_ms", "p95_ms", "limit", "in_flight")


class Course:
    """The moments of a fetch, at equal distances from its beginning to now.

    When there are too many, every second one is forgotten, and from then on half as many are kept.
    """

    def __init__(self) -> None:
        self._step_s = 1.0
        self._moments: list[list[Any]] = []
        self._latency = Histogram()
        self._last = (0.0, 0)

    def add(self, progress: Progress) -> None:
        """Keep this moment, unless the last one is nearer than the distance: latencies are those since then."""
        last_s, last_done = self._last
        passed_s = progress.seconds - last_s
        if passed_s < self._step_s:
            return
        recent = Histogram(progress.latency.buckets - self._latency.buckets)
        self._latency = Histogram(progress.latency.buckets.copy())
        self._last = (progress.seconds, progress.done)
        per_s = round((progress.done - last_done) / passed_s, 1) if self._moments else round(progress.recent_per_s, 1)
        latencies = [_rounded(recent.quantile(share)) for share in (0.5, 0.95)]
        limit = progress.limits.get("limit")
        moment = [round(progress.seconds), progress.done, per_s, *latencies, limit, progress.in_flight]
        self._moments.append(moment)
        if len(self._moments) > MOST_MOMENTS:
            self._moments = self._moments[::2]
            self._step_s *= 2

    def table(self) -> dict[str, Any]:
        """Return the moments as plain JSON; a latency is null where nothing ended since the moment before."""
        return {"columns": [*COLUMNS], "rows": self._moments}


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1 if ms < 10 else None)
