"""Reports of a test's own in the Airflow that all tests share: copies of DAG files, and connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

from harness.service import DemoService
from tests.airflow_fixture import AddedDags, SharedAirflow

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "dags", Path(__file__).with_name("dags"))
DAGS = {
    "daily_call_report.py": ("daily_call_report",),
    "crawl_call_logs.py": ("crawl_call_logs",),
    "alerting.py": ("alerted", "alerted_in_part", "alerted_in_time", "alerted_in_vain", "alerted_plainly", "disturbed"),
    "daily_call_summary.py": ("daily_call_summary",),
    "daily_invoices.py": ("daily_invoices",),
    "clean_staging.py": ("clean_staging",),
    "bad_input.py": (
        *("misspelt", "not_json", "empty", "empty_allowed", "twins_dropped", "twins_refused", "no_connection"),
        *("no_host", "not_a_number", "unknown_only", "no_key", "beyond_64_bits", "same_key", "not_validated"),
        "unready",
    ),
    "days.py": ("days",),
    "leaks.py": (
        *("good_bearer", "good_basic", "good_digest", "good_header", "good_function", "good_requests", "good_body"),
        *("good_list", "good_swap", "good_replace", "good_shards", "good_native", "good_checks", "null_results"),
        *("status_that_quotes", "answer_not_json", "missing_field", "redirect_that_quotes", "hung_up", "too_large"),
        *("too_late", "wrong_token", "dead_proxy", "nobody_there", "bad_token", "function_raises", "function_refused"),
        *("function_refused_by_requests", "function_unplain", "function_of_a_partial", "list_refused"),
        *("list_not_json", "list_without_items", "list_repeats", "twins", "pairs", "sets", "document_raises"),
        *("document_unstorable", "document_alike", "document_without_key", "mongo_validator", "mongo_unique"),
        *("mongo_wrong_password", "schema_fails", "unique_fails", "check_raises", "leak"),
    ),
    "listed.py": ("listed", "listed_by_event"),
    "functions.py": ("function_here", "function_imported", "function_lambda", "function_locked"),
    "many.py": ("many", "too_many"),
    "slices.py": (
        *("slice", "slice_limited", "slice_impatient", "slice_metered", "slice_missing", "slice_nowhere"),
        *("slice_budgeted", "slice_sharded"),
    ),
    "native.py": ("native",),
    "steps.py": ("paged", "jobs"),
    "three_bad.py": ("three_bad",),
    "unattended.py": ("unattended",),
    "stranger.py": ("stranger_well", "stranger_slowed", "stranger_outage", "stranger_validate", "stranger_load"),
    "tokens.py": ("tokens", "changed"),
}
HOST = "127.0.0.1"
SUBSCRIBERS = 2000
LATENCY_MS = 50.0

OwnDag = Callable[..., str]


def own_service() -> DemoService:
    """Start a service that nobody else asks."""
    return DemoService.start(subscribers=SUBSCRIBERS, latency_ms=LATENCY_MS)


class OwnReports:
    """DAGs and connections that are one test's; in the sources of its DAGs their names are the plain ones."""

    def __init__(self, airflow: SharedAirflow, service: DemoService) -> None:
        self.service = service
        self._client = airflow.client()
        self._added = AddedDags(airflow, self._client)
        self._suffix = uuid4().hex[:6]
        self._connected: dict[str, str] = {}
        self._files: dict[str, Path] = {}

    @contextmanager
    def open(self) -> Iterator[OwnReports]:
        """Connect `call_api` to the service; remove all that was added when the context ends."""
        try:
            self.connect("call_api", "http", self.service.port)
            yield self
        finally:
            self._added.remove()
            for own in self._connected.values():
                self._client.request("DELETE", f"/api/v2/connections/{own}")

    @property
    def files(self) -> list[Path]:
        """The copies of DAG files."""
        return list(self._files.values())

    def name(self, plain: str) -> str:
        """Return this test's name for a DAG, or a connection."""
        return f"{plain}_{self._suffix}"

    def connect(self, name: str, kind: str, port: int, extra: str = "{}", **more: str) -> None:
        """Make a connection, as people do in the UI; DAGs that are added from now on have it."""
        own = self.name(name)
        wanted = {"connection_id": own, "conn_type": kind, "host": HOST, "port": port, "extra": extra, **more}
        self._client.request("POST", "/api/v2/connections", json=wanted)
        self._connected[name] = own

    def add(self, dag_id: str, source: str) -> Path:
        """Write a DAG file, wait until its DAG is parsed, and unpause it."""
        file = self._added.file(dag_id, self._own(source, ()))
        self._added.parsed(dag_id, file, paused=False)
        return file

    def dag(self, name: str, *, paused: bool = False) -> str:
        """Copy the file of a DAG, unless it is copied already; wait until the DAG is parsed, and return its id.

        A daily report begins to run by itself when it is unpaused, and ``airflow dags test`` wants the scheduler's
        hands off.
        """
        source = file_of(name)
        if source.name not in self._files:
            text = self._own(source.read_text(), DAGS[source.name])
            self._files[source.name] = self._added.file(self.name(source.stem), text)
        self._added.parsed(self.name(name), self._files[source.name], paused=paused)
        return self.name(name)

    def _own(self, source: str, names: tuple[str, ...]) -> str:
        for name in (*names, *self._connected):
            source = source.replace(f'"{name}"', f'"{self.name(name)}"')
        return source


@cache
def file_of(dag_id: str) -> Path:
    """Return the file of one of the project's DAGs, or of this folder's."""
    [name] = [name for name, ids in DAGS.items() if dag_id in ids]
    return next(folder / name for folder in FOLDERS if (folder / name).exists())
