"""What the tasks tell Airflow's metrics, be they StatsD, Datadog or OpenTelemetry: the names in one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_fanout.validation.rules import Rules
    from airflow_fanout.validation.verdict import Finding, Tally

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
    "fanout.budget.rate_per_s": Metric("gauge", ("shard",)),
    "fanout.budget.share_per_s": Metric("gauge", ("shard",)),
    "fanout.budget.reserved": Metric("gauge", ("shard",)),
    "fanout.budget.left": Metric("gauge", ("shard",)),
    "fanout.budget.renewal_s": Metric("gauge", ("shard",)),
    "fanout.budget.offline": Metric("gauge", ("shard",)),
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
        # StatsD separates by signs that an id may have: it would drop such a value, with a line in the log each time.
        self._tags = {
            name: stats.normalize_name_for_stats(text, log_warning=False)
            for name, text in (("dag_id", task.dag_id), ("task_id", task.task_id))
        }
        self._has_warned = False

    def tell(self, measured: Iterable[Measured]) -> None:
        """Send values to whatever Airflow is configured for; without that, nothing happens."""
        try:
            for measure in measured:
                _send(METRICS[measure.name].type, measure, {**self._tags, **measure.tags})
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
