"""What a fetch tells Airflow's metrics as it goes on."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import assert_never

import msgspec

from airflow_fanout.adapters.metrics import QUANTILES, Measured
from airflow_fanout.launch.messages import (
    DamagedPart,
    Ended,
    Failed,
    FetchMessage,
    Output,
    ProgressReport,
    Remark,
    Warned,
)
from airflow_fanout.model.budget_status import BudgetStatus
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.progress import Progress


class FetchMeasures(msgspec.Struct):
    """What a fetch tells of itself, as it goes on: gauges of the moment, and what has been added to the counters.

    :param shard: the number of its shard.
    """

    shard: int
    _requests: int = 0
    _kinds: Counter[str] = msgspec.field(default_factory=Counter)

    def of_message(self, message: FetchMessage) -> Iterator[Measured]:
        """Yield what is new in a message of the engines': their progress, or their end, which has the last progress."""
        match message:
            case ProgressReport():
                yield from self._of_progress(message.progress)
            case Ended():
                yield from self._of_progress(message.progress)
                quantiles = {share: message.progress.latency.quantile(share / 100) for share in QUANTILES}
                tags = {"shard": str(self.shard)}
                yield from (
                    Measured(f"fanout.latency.p{share}_ms", ms, tags)
                    for share, ms in quantiles.items()
                    if ms is not None
                )
            case Failed() | Remark() | DamagedPart() | Output() | Warned():
                pass
            case _:
                assert_never(message)

    def _of_progress(self, progress: Progress) -> Iterator[Measured]:
        tags = {"shard": str(self.shard)}
        # Counters get what this try has done since the last time.
        yield Measured("fanout.requests", progress.requests - self._requests, tags)
        kinds = progress.kinds - Counter({Kind.OK: progress.resumed})
        for kind, count in (kinds - self._kinds).items():
            yield Measured("fanout.parameters", count, {**tags, "kind": str(kind)})
        self._requests, self._kinds = progress.requests, kinds
        for name in ("total", "done", "in_flight", "waiting"):
            yield Measured(f"fanout.progress.{name}", getattr(progress, name), tags)
        yield Measured("fanout.progress.rate_per_s", progress.recent_per_s, tags)
        if "limit" in progress.limits:
            yield Measured("fanout.progress.limit", progress.limits["limit"], tags)
        # The last progress has the limits over time, and an outage that has ended with the fetch.
        yield Measured("fanout.progress.outage", int(progress.limits.get("outage", False)), tags)
        if progress.budget is not None:
            yield from _of_budget(progress.budget, tags)


def _of_budget(budget: BudgetStatus, tags: Mapping[str, str]) -> Iterator[Measured]:
    for name in ("rate_per_s", "share_per_s", "reserved"):
        yield Measured(f"fanout.budget.{name}", getattr(budget, name), tags)
    yield Measured("fanout.budget.offline", int(budget.is_offline), tags)
    if budget.left is not None:
        yield Measured("fanout.budget.left", budget.left, tags)
    if budget.renewal is not None:
        yield Measured("fanout.budget.renewal_s", max(0.0, budget.renewal - time.time()), tags)
