"""A histogram of latencies: flat in memory, mergeable over shards, within 2.5 % of each quantile."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from functools import partial

import msgspec

# Buckets grow by 5 %, so a bucket's geometric middle is within 2.5 % of every value in it.
GROWTH = math.log(1.05)
SMALLEST_MS = 0.01
# Where each bucket ends and the next begins; what takes longer than the last of them, four days, is in one more.
_ENDS_MS = tuple(SMALLEST_MS * math.exp(GROWTH * bucket) for bucket in range(1, 500))
_bucket = partial(bisect_right, _ENDS_MS)


class Histogram(msgspec.Struct):
    """Counts of durations in milliseconds, by geometrically growing buckets."""

    buckets: Counter[int] = msgspec.field(default_factory=Counter)

    def __post_init__(self) -> None:
        # In JSON, the names of an object's fields are texts.
        self.buckets = Counter({int(bucket): count for bucket, count in self.buckets.items()})

    def __repr__(self) -> str:
        return f"Histogram({self.total} values, p50 {self.quantile(0.5)} ms)"

    @property
    def total(self) -> int:
        """The number of values."""
        return self.buckets.total()

    def add(self, ms: float) -> None:
        """Count one duration."""
        self.extend((ms,))

    def extend(self, durations_ms: Iterable[float]) -> None:
        """Count several durations."""
        self.buckets.update(map(_bucket, durations_ms))

    def merge(self, other: Histogram) -> None:
        """Count all of another histogram's values, too."""
        self.buckets.update(other.buckets)

    def quantile(self, share: float) -> float | None:
        """Return the duration that `share` of the values don't exceed, in milliseconds; `None` without values."""
        rank, seen = math.ceil(share * self.total), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return round(SMALLEST_MS * math.exp((bucket + 0.5) * GROWTH), 2)
        return None
