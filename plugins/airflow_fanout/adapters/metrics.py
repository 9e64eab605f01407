"""What the tasks tell Airflow's metrics, be they StatsD, Datadog or OpenTelemetry: the names in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, assert_never

from airflow.sdk.observability import stats

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
from airflow_fanout.model.outcome import Kind
from airflow_fanout.model.progress import Progress

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_fanout.validation.verdict import Finding, Rules, Tally

QUANTILES = (50, 95, 99)


class Metric(NamedTuple):
    """What a name stands for: its type, and its tags besides `dag_id` and `task_id`, which all have."""

    type: Literal["counter", "gauge", "timing"]
    tags: tuple[str, ...] = ()


# No tag tells one run from another, or one parameter: each value of a tag is a time series for ever.
METRICS: Mapping[str, Metric] = {
    "fanout.duration": Metric("timing", ("step",)),
    "fanout.list.parameters": Metric("gauge"),
    "fanout.list.duplicates": Metric("gauge"),
    "fanout.requests": Metric("counter", ("shard",)),
    "fanout.parameters": Metric("counter", ("shard", "kind")),
    "fanout.progress.total": Metric("gauge", ("shard",)),
    "fanout.progress.done": Metric("gauge", ("shard",)),
    "fanout.progress.rate_per_s": Metric("gauge", ("shard",)),
    "fanout.progress.in_flight": Metric("gauge", ("shard",)),
    "fanout.progress.waiting": Metric("gauge", ("shard",)),
    "fanout.progress.limit": Metric("gauge", ("shard",)),
    "fanout.progress.outage": Metric("gauge", ("shard",)),
    **{f"fanout.latency.p{share}_ms": Metric("gauge", ("shard",)) for share in QUANTILES},
    "fanout.missing": Metric("gauge"),
    "fanout.coverage": Metric("gauge"),
    "fanout.checks.failed": Metric("gauge"),
    "fanout.documents": Metric("counter", ("change",)),
    "fanout.load.rate_per_s": Metric("gauge"),
}


class Measured(NamedTuple):
    """One value of a metric; durations in seconds."""

    name: str
    value: float
    tags: Mapping[str, str] = {}


class Metrics:
    """A task's way to Airflow's metrics. Whatever goes wrong with them is said once in its log, and harms nothing."""

    def __init__(self, task: BaseOperator) -> None:
        self._task = task
        self._tags = {"dag_id": _tag(task.dag_id), "task_id": _tag(task.task_id)}
        self._has_warned = False

    def tell(self, measured: Iterable[Measured]) -> None:
        """Send values to whatever Airflow is configured for; without that, nothing happens."""
        try:
            for one in measured:
                _send(METRICS[one.name].type, one, {**self._tags, **one.tags})
        except Exception as error:  # noqa: BLE001 - a picture of the work is not worth the work
            if not self._has_warned:
                self._task.log.warning("The metrics could not be sent: %s: %s", type(error).__name__, error)
            self._has_warned = True


def _send(kind: str, measured: Measured, tags: Mapping[str, str]) -> None:
    name, value = measured.name, measured.value
    if kind == "counter":
        stats.incr(name, count=int(value), tags=dict(tags))
    elif kind == "gauge":
        stats.gauge(name, value, tags=dict(tags))
    else:
        # A number would be milliseconds to one backend and whatever it is to another.
        stats.timing(name, timedelta(seconds=value), tags=dict(tags))


def _tag(text: str) -> str:
    # StatsD separates by signs that an id may have: such a value would be dropped, with a line in the log each time.
    return stats.normalize_name_for_stats(text, log_warning=False)


def of_list(summary: Mapping[str, Any]) -> Iterator[Measured]:
    """Yield what a frozen list is like, from extract's summary."""
    yield Measured("fanout.list.parameters", summary["parameters"])
    yield Measured("fanout.list.duplicates", summary["duplicates"])
    yield of_duration("extract", summary)


def of_verdict(tally: Tally, rules: Rules, findings: Iterable[Finding]) -> Iterator[Measured]:
    """Yield what validate has found, whether that is good or bad."""
    yield Measured("fanout.missing", sum(rules.refused(tally).values()))
    yield Measured("fanout.coverage", rules.coverage(tally))
    yield Measured("fanout.checks.failed", len(list(findings)))


def of_load(summary: Mapping[str, Any]) -> Iterator[Measured]:
    """Yield what MongoDB has confirmed, from load's summary."""
    for change in ("inserted", "replaced", "removed"):
        yield Measured("fanout.documents", summary[change], {"change": change})
    yield Measured("fanout.load.rate_per_s", summary["rate_per_s"])
    yield of_duration("load", summary)


def of_duration(step: str, summary: Mapping[str, Any]) -> Measured:
    """Return how long a step took that has come to a good end."""
    return Measured("fanout.duration", summary["seconds"], {"step": step})


@dataclass
class FetchMeasures:
    """What a fetch tells of itself, as it goes on: gauges of the moment, and what has been added to the counters.

    :param shard: the number of its shard.
    """

    shard: int
    _requests: int = 0
    _kinds: Counter[str] = field(default_factory=Counter)

    def of_message(self, message: FetchMessage) -> Iterator[Measured]:
        """Yield what is new in a message of the engines': their progress, or their end, which has the last progress."""
        match message:
            case ProgressReport():
                yield from self._of_progress(message.progress)
            case Ended():
                progress = message.progress
                yield from self._of_progress(progress)
                yield from self._of_latency(progress)
            case Failed() | Remark() | DamagedPart() | Output() | Warned():
                pass
            case _:
                assert_never(message)

    def _of_progress(self, progress: Progress) -> Iterator[Measured]:
        tags = {"shard": str(self.shard)}
        yield from self._of_counters(progress, tags)
        for name in ("total", "done", "in_flight", "waiting"):
            yield Measured(f"fanout.progress.{name}", getattr(progress, name), tags)
        yield Measured("fanout.progress.rate_per_s", progress.recent_per_s, tags)
        if "limit" in progress.limits:
            yield Measured("fanout.progress.limit", progress.limits["limit"], tags)
        # The last progress has the limits over time, and an outage that has ended with the fetch.
        yield Measured("fanout.progress.outage", int(progress.limits.get("outage", False)), tags)

    def _of_counters(self, progress: Progress, tags: Mapping[str, str]) -> Iterator[Measured]:
        """Yield what this try has done since the last time."""
        yield Measured("fanout.requests", progress.requests - self._requests, tags)
        kinds = progress.kinds - Counter({Kind.OK: progress.resumed})
        for kind, count in (kinds - self._kinds).items():
            yield Measured("fanout.parameters", count, {**tags, "kind": str(kind)})
        self._requests, self._kinds = progress.requests, kinds

    def _of_latency(self, progress: Progress) -> Iterator[Measured]:
        for share in QUANTILES:
            ms = progress.latency.quantile(share / 100)
            if ms is not None:
                yield Measured(f"fanout.latency.p{share}_ms", ms, {"shard": str(self.shard)})
