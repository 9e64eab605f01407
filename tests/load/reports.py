"""A report whose tasks are executed one after the other, against a service that notes each request."""

from __future__ import annotations

import copy
import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airflow.sdk import DAG

import airflow_fanout_plugin
from airflow_fanout import Breaker, FanoutTaskGroup, Request, Retry

FIRST = datetime(2026, 11, 20, tzinfo=UTC)
MACROS = SimpleNamespace(fanout=SimpleNamespace(day=airflow_fanout_plugin.day, as_of=airflow_fanout_plugin.as_of))
# One attempt for each parameter: a test says itself what fails.
ONCE = {"retry": Retry(max_attempts=1, last_pass=False), "breaker": Breaker(canary=0, max_failures=1)}


@dataclass
class Service:
    """An API: `/items/<id>?day=<day>` gives the id and the day, or the status that a test wants for the id.

    With versions, an item has the one that is there for its id, as its `ETag` and in its body; if a request names it,
    the answer is a 304. `dates` are the same for `Last-Modified`.
    """

    url: str = ""
    statuses: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Forget what was set and what was asked: every item has the status 200 and no version."""
        for each in (self.statuses, self.versions, self.dates, self.requests, self.unchanged, self.conditions):
            each.clear()

    def taken(self) -> list[tuple[str, str]]:
        """Return id and day of each request since the last call, in order of the ids."""
        requests, self.requests = sorted(self.requests), []
        return requests


@contextmanager
def serving() -> Iterator[Service]:
    """Run the service."""
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            item = parts.path.rpartition("/")[2]
            day = parse_qs(parts.query).get("day", [""])[0]
            service.requests.append((item, day))
            status, version, date = service.statuses.get(item, 200), service.versions.get(item), service.dates.get(item)
            asked_for = self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")
            if any(asked_for):
                service.conditions.append(item)
            is_unchanged = status == 200 and (version or date) and asked_for == (version, date)
            value = {"id": item, "day": day, **({"v": version} if version else {})}
            body = b"" if is_unchanged else json.dumps(value).encode()
            if is_unchanged:
                service.unchanged.append(item)
            self.send_response(304 if is_unchanged else status)
            if version:
                self.send_header("ETag", version)
            if date:
                self.send_header("Last-Modified", date)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class TaskInstance:
    """What Airflow tells an operator of its task, and what the task asks of other runs."""

    run_id: str
    alive: set[str]
    dag_id: str = "invoices"
    task_id: str = "task"
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_dr_count(self, dag_id: str, *, run_ids: list[str], states: list[str]) -> int:
        assert (dag_id, states) == (self.dag_id, ["queued", "running"])
        return len(self.alive.intersection(run_ids))


@dataclass
class DagRun:
    """What Airflow tells an operator of its run."""

    run_id: str
    logical_date: datetime
    data_interval_start: None = None
    data_interval_end: None = None
    run_after: datetime = FIRST
    run_type: str = "scheduled"


@dataclass
class ReportRun:
    """One run of a report; its tasks are executed one by one, each as often as a test wants."""

    group: Any
    context: dict[str, Any]
    listed: Any = None

    def extract(self) -> Any:
        """Execute extract."""
        self.listed = self._execute("extract")
        return self.listed

    def fetch(self) -> dict[str, Any]:
        """Execute fetch."""
        return self._execute("fetch")

    def validate(self) -> dict[str, Any]:
        """Execute validate."""
        return self._execute("validate")

    def load(self) -> dict[str, Any]:
        """Execute load."""
        return self._execute("load")

    def all(self) -> dict[str, dict[str, Any]]:
        """Execute all of them, and return what they return."""
        return {name: self._execute_named(name) for name in ("extract", "fetch", "validate", "load")}

    def _execute_named(self, name: str) -> Any:
        return getattr(self, name)()

    def _execute(self, name: str) -> Any:
        operator = copy.copy(getattr(self.group, name))
        context = {**self.context, "outlet_events": defaultdict(SimpleNamespace)}
        for template in {*operator.template_fields} - {"parameters", "shard"}:
            setattr(operator, template, operator.render_template(getattr(operator, template), context))
        if name != "extract":
            operator.parameters = self.listed
        returned = operator.execute(context)
        if name == "load":
            [event] = context["outlet_events"].values()
            assert event.extra == returned
        return returned


@dataclass
class Reports:
    """The runs of one report, a day apart.

    :param alive: the ids of the runs that Airflow calls running.
    """

    collection: str
    ids: list[str]
    parts: Mapping[str, Any]
    alive: set[str] = field(default_factory=set)

    def run(self, day: int, *, request: Request | Callable[..., Any] | None = None, **extract: Any) -> ReportRun:
        """Return the run of a day, counted from the first."""
        request = request or Request(endpoint="/items/{id}", query={"day": "{{ macros.fanout.day() }}"})
        target = {"database": "reports", "collection": self.collection, "key": ("id",)}
        with DAG("invoices", schedule=None, start_date=FIRST) as dag:
            group = FanoutTaskGroup(
                "report",
                prefix_group_id=False,
                extract={"source": lambda: self.ids, "names": ("id",), "preflight": False, **extract},
                fetch={"request": request, "http_conn_id": "call_api", **ONCE, **self.parts.get("fetch", {})},
                validate={"allow_partial": True, **self.parts.get("validate", {})},
                load={**target, **self.parts.get("load", {})},
            )
        run_id = f"day {day}"
        dag_run = DagRun(run_id=run_id, logical_date=FIRST + timedelta(days=day))
        context = {
            "dag": dag,
            "dag_run": dag_run,
            "run_id": run_id,
            "params": {},
            "ti": TaskInstance(run_id, self.alive),
            "macros": MACROS,
        }
        return ReportRun(group, context)
