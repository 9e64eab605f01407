from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.observability import stats
from msgspec.structs import replace

from airflow_fanout.adapters.fetch_metrics import FetchMeasures
from airflow_fanout.adapters.metrics import (
    METRICS,
    Measured,
    Metric,
    Metrics,
    of_list,
    of_load,
    of_verdict,
)
from airflow_fanout.control.breaker import Trip
from airflow_fanout.launch.messages import Ended, Failed, FetchMessage, Output, ProgressReport, Remark
from airflow_fanout.launch.stop_reasons import BreakerTripped, Finished, LongPause, Stopped, StopReason
from airflow_fanout.model.budget_status import BudgetStatus
from airflow_fanout.model.latency import Histogram
from airflow_fanout.model.outcome import Kind, Outcome, Record
from airflow_fanout.model.progress import Progress
from airflow_fanout.validation.rules import Rules
from airflow_fanout.validation.verdict import Finding, Tally

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
ROW = re.compile(r"^\| `(?P<name>fanout\.[\w.]+)` \| (?P<type>\w+) \| (?P<tags>[^|]*)\|", re.MULTILINE)


class Backend:
    """A metrics backend that keeps what it is told, or fails each time with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.told: list[tuple[str, str, Any, dict[str, str]]] = []
        self.calls = 0
        self._error = error

    def incr(self, stat: str, count: int, tags: dict[str, str]) -> None:
        self._keep("counter", stat, count, tags)

    def gauge(self, stat: str, value: float, tags: dict[str, str]) -> None:
        self._keep("gauge", stat, value, tags)

    def timing(self, stat: str, dt: Any, tags: dict[str, str]) -> None:
        self._keep("timing", stat, dt.total_seconds(), tags)

    def _keep(self, kind: str, stat: str, value: Any, tags: dict[str, str]) -> None:
        self.calls += 1
        if self._error:
            raise self._error
        self.told.append((kind, stat, value, tags))


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Airflow's metrics go to this backend."""
    yield from _installed(Backend())


@pytest.fixture
def broken() -> Iterator[Backend]:
    """Airflow's metrics go to a backend that can't be reached."""
    yield from _installed(Backend(ConnectionRefusedError(111, "Connection refused")))


def _installed(backend: Any) -> Iterator[Backend]:
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger

    stats.initialize(factory=lambda: backend, export_legacy_names=True)
    yield backend
    stats.initialize(factory=NoStatsLogger, export_legacy_names=True)


@pytest.fixture
def task() -> BaseOperator:
    """A task that isn't in a DAG."""
    return BaseOperator(task_id="calls.fetch")


STATUS = BudgetStatus(
    name="calls",
    queue="daily",
    rank="nightly",
    rate_per_s=100.0,
    share_per_s=50.0,
    reserved=12,
    clients=2,
    left=800,
    renewal=1_795_413_785.0,
)


def test_a_budget_is_measured_if_there_is_one() -> None:
    """What all may send, what this task has of it, and what is left; nothing of a quota without one."""
    measures = FetchMeasures(shard=3)
    with_quota = list(measures.of_message(ProgressReport(Progress(total=9, budget=STATUS))))
    sent = {each.name: each.value for each in with_quota if each.name.startswith("fanout.budget.")}
    assert sent == {
        "fanout.budget.rate_per_s": 100.0,
        "fanout.budget.share_per_s": 50.0,
        "fanout.budget.reserved": 12,
        "fanout.budget.offline": 0,
        "fanout.budget.left": 800,
        "fanout.budget.renewal_s": pytest.approx(max(0.0, 1_795_413_785.0 - time.time()), abs=600),
    }
    offline = replace(STATUS, left=None, renewal=None, is_offline=True)
    without = list(measures.of_message(ProgressReport(Progress(total=9, budget=offline))))
    names = {each.name for each in without if each.name.startswith("fanout.budget.")}
    assert "fanout.budget.left" not in names
    assert Measured("fanout.budget.offline", 1, {"shard": "3"}) in without
    plain = list(measures.of_message(ProgressReport(Progress(total=9))))
    assert not [each for each in plain if each.name.startswith("fanout.budget.")]


def test_the_runbook_has_every_metric_with_its_type_and_tags() -> None:
    """The names are a promise: the table of the code is the table of the page, no more and no less."""
    documented = {
        row["name"]: Metric(row["type"], tuple(re.findall(r"`(\w+)`", row["tags"]))) for row in ROW.finditer(OPERATING)
    }
    assert documented == dict(METRICS)


def test_each_type_reaches_airflow_with_the_tags_of_the_task(backend: Backend, task: BaseOperator) -> None:
    """A counter's count, a gauge's value, a duration as such, and DAG and task with all of them."""
    Metrics(task).tell(
        [
            Measured("fanout.documents", 12, {"change": "inserted"}),
            Measured("fanout.coverage", 0.75),
            Measured("fanout.duration", 2.5, {"step": "load"}),
        ]
    )
    tags = {"dag_id": task.dag_id, "task_id": "calls.fetch"}
    assert backend.told == [
        ("counter", "fanout.documents", 12, {**tags, "change": "inserted"}),
        ("gauge", "fanout.coverage", 0.75, tags),
        ("timing", "fanout.duration", 2.5, {**tags, "step": "load"}),
    ]


def test_a_tag_has_no_sign_that_statsd_reads(backend: Backend) -> None:
    """A letter outside of ASCII in a task's id would make Airflow drop the metric, with a traceback each second."""
    Metrics(BaseOperator(task_id="Anrufe_für_morgen")).tell([Measured("fanout.coverage", 1.0)])
    assert [tags["task_id"] for *_, tags in backend.told] == ["Anrufe_f_r_morgen"]


def test_a_backend_that_fails_is_said_once_and_harms_nothing(
    broken: Backend, task: BaseOperator, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked again each time, since it may come back; the log has one line of it."""
    metrics = Metrics(task)
    for _ in range(3):
        metrics.tell([Measured("fanout.coverage", 1.0), Measured("fanout.missing", 0)])
    assert broken.calls == 3
    said = "The metrics could not be sent: ConnectionRefusedError: [Errno 111] Connection refused"
    assert capsys.readouterr().out.count(said) == 1


def progress(*, requests: int, resumed: int = 0, limits: dict[str, Any] | None = None, **kinds: int) -> Progress:
    """Return a fetch's progress with two attempts' latencies."""
    return Progress(
        total=100,
        kinds=Progress(0).kinds + type(Progress(0).kinds)(kinds),
        resumed=resumed,
        requests=requests,
        in_flight=7,
        waiting=2,
        seconds=20.0,
        recent_per_s=5.0,
        latency=Histogram(Counter({100: 1, 120: 1})),
        limits=limits or {},
    )


def by_name(measured: Iterator[Measured]) -> dict[str, float]:
    """Return values by name, with the kind of outcome if it has one."""
    return {f"{one.name} {one.tags.get('kind', '')}".strip(): one.value for one in measured}


def test_counters_get_what_is_new_and_nothing_that_an_earlier_try_has_done() -> None:
    """Of 40 good outcomes 30 were there before; the next message adds only its own."""
    measures = FetchMeasures(shard=3)
    first = progress(requests=12, resumed=30, ok=40, timeout=1)
    second = progress(requests=20, resumed=30, ok=46, timeout=1, null=2)
    told = [by_name(measures.of_message(ProgressReport(one))) for one in (first, second)]
    counters = ("fanout.requests", "fanout.parameters")
    assert [{name: value for name, value in one.items() if name.startswith(counters)} for one in told] == [
        {"fanout.requests": 12, "fanout.parameters ok": 10, "fanout.parameters timeout": 1},
        {"fanout.requests": 8, "fanout.parameters ok": 6, "fanout.parameters null": 2},
    ]


def test_progress_is_gauges_of_the_moment() -> None:
    """What the log's line says, and what the throttle allows; each with its shard."""
    limits = {"limit": 16, "rate_limit_per_s": None, "paused_s": 0.0, "outage": True}
    report = ProgressReport(progress(requests=12, resumed=30, limits=limits, ok=40))
    measured = list(FetchMeasures(shard=3).of_message(report))
    assert {one.tags["shard"] for one in measured} == {"3"}
    shown = {one.name.removeprefix("fanout.progress."): one.value for one in measured if "progress" in one.name}
    assert shown == {
        "total": 100,
        "done": 40,
        "rate_per_s": 5.0,
        "in_flight": 7,
        "waiting": 2,
        "limit": 16,
        "outage": 1,
    }


@pytest.mark.parametrize(
    "reason",
    [
        Finished(),
        BreakerTripped(Trip(5, 5, Kind.TIMEOUT, None, 5, transient=True)),
        LongPause(9.0),
        Stopped(),
    ],
)
def test_the_engines_last_word_ends_the_counts_and_has_the_latencies(reason: Finished | StopReason) -> None:
    """However it ended: what the last second did counts, and an outage is over."""
    last = progress(requests=5, ok=5, limits={"over_time": [{"s": 0.0, "limit": 4, "outage": True}]})
    found = by_name(FetchMeasures(shard=0).of_message(Ended(reason, last)))
    assert (found["fanout.requests"], found["fanout.progress.outage"]) == (5, 0)
    latency = last.latency
    assert [found[f"fanout.latency.p{share}_ms"] for share in (50, 95, 99)] == [
        latency.quantile(0.5),
        latency.quantile(0.95),
        latency.quantile(0.99),
    ]


@pytest.mark.parametrize("message", [Output("hello"), Remark("hello"), Failed("OSError", "no space left")])
def test_other_messages_are_no_metrics(message: FetchMessage) -> None:
    """What code prints, notes, and an engine that failed without progress."""
    assert list(FetchMeasures(shard=0).of_message(message)) == []


def test_validate_tells_what_is_missing_also_when_it_fails() -> None:
    """Of 4 parameters, 1 is good, 1 is allowed to be null, 1 timed out and 1 was never tried: 2 are missing."""
    tally = Tally(total=4)
    for index, kind in enumerate((Kind.OK, Kind.NULL, Kind.TIMEOUT)):
        tally.add(Record.of(index=index, parameter=index, outcome=Outcome(kind), attempts=1, ms=1.0))
    tally.add_not_tried([3])
    rules = Rules(allow=frozenset({Kind.NULL}))
    assert by_name(of_verdict(tally, rules, [Finding("Unique", "twice")])) == {
        "fanout.missing": 2,
        "fanout.coverage": 0.5,
        "fanout.checks.failed": 1,
    }


def test_extract_and_load_tell_their_summaries() -> None:
    """The list's length and duplicates; what MongoDB has confirmed, by what has become of it."""
    listed = {"parameters": 10, "duplicates": 2, "seconds": 0.5}
    assert [*of_list(listed)] == [
        Measured("fanout.list.parameters", 10),
        Measured("fanout.list.duplicates", 2),
        Measured("fanout.duration", 0.5, {"step": "extract"}),
    ]
    loaded = {"inserted": 7, "replaced": 3, "removed": 1, "rate_per_s": 20.0, "seconds": 0.5}
    assert [*of_load(loaded)] == [
        Measured("fanout.documents", 7, {"change": "inserted"}),
        Measured("fanout.documents", 3, {"change": "replaced"}),
        Measured("fanout.documents", 1, {"change": "removed"}),
        Measured("fanout.load.rate_per_s", 20.0),
        Measured("fanout.duration", 0.5, {"step": "load"}),
    ]
