"""The real engine for tests: freeze a list, run a job in the engine's own process, read what came of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.launch.job import Job
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.launch.messages import Ended, Failed, Heard, Output, ProgressReport, Remark
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.launch.shipping import pack
from airflow_fanout.launch.stop_reasons import Finished, StopReason
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.model.progress import Progress
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry, Throttle, Timeouts
from airflow_fanout.staging.directory import GenerationDirectory, ListDirectory, ReportDirectory
from airflow_fanout.staging.folder import FolderStore, list_at
from airflow_fanout.staging.frozen import Selection, freeze, read_manifest
from airflow_fanout.staging.journal import read_records
from airflow_fanout.staging.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_fanout.model.outcome import Record

# Makes settings for one of the transports.
Sending = Callable[..., FetchSettings]
ONCE = Retry(max_attempts=1)
USUAL = Timeouts()
# As fast as the concurrency allows, and to the end: what the throttle and the breaker do has tests of its own.
UNCONTROLLED = {
    "throttle": Throttle(adaptive=False),
    "breaker": Breaker(canary=0, max_failures=1.0, outage_s=0.0, startup_attempts=0),
}
# Nobody listens there: port 1 is reserved (RFC 6335: tcpmux), and a test needs no privileges to find it closed.
NOWHERE = Endpoint(base_url="http://127.0.0.1:1")


def frozen(where: Path | Store, parameters: Iterable[object], names: tuple[str, ...] = ()) -> ListDirectory:
    """Freeze parameters as extract does, in a folder or in a store."""
    store = FolderStore(where) if isinstance(where, Path) else where
    directory = ReportDirectory.of(store, dag_id="dag", run_id="run", report="report").new_list()
    freeze(
        parameters,
        directory,
        as_of=AsOf(moment=datetime(2026, 11, 22, tzinfo=UTC), day="2026-11-22", source="logical_date"),
        names=names,
        duplicates="drop",
        selection=Selection(),
        shards=1,
    )
    return directory


def settings(concurrency: int = 8, *, retry: Retry = ONCE, timeouts: Timeouts = USUAL, **more: Any) -> FetchSettings:
    """Return settings that try once, unless the test is about more."""
    return FetchSettings(concurrency=concurrency, retry=retry, timeouts=timeouts, **(UNCONTROLLED | more))


def job(
    directory: ListDirectory,
    asked: Request | Callable[..., Any],
    endpoint: Endpoint | str = NOWHERE,
    how: FetchSettings | None = None,
) -> Job:
    """Return the job of fetching a whole list by a request or by a function."""
    request = asked if isinstance(asked, Request) else None
    code = LoadedCode.now()
    return Job(
        directory=str(directory),
        start=0,
        stop=read_manifest(directory).count,
        shard=0,
        generation=1,
        endpoint=Endpoint(base_url=endpoint) if isinstance(endpoint, str) else endpoint,
        request=request.without_functions() if request else None,
        request_functions={name: pack(function) for name, function in request.functions().items()} if request else {},
        function=None if isinstance(asked, Request) else pack(asked),
        settings=how or settings(),
        path=code.path,
        digests=code.digests,
    )


@dataclass
class Run:
    """What an engine said, how it ended, and what it left in the journal."""

    said: list[Heard] = field(default_factory=list)
    ended: str | None = None
    records: list[Record] = field(default_factory=list)

    @property
    def last(self) -> Heard:
        """The engine's last message of its own."""
        return [said for said in self.said if not isinstance(said, Output)][-1]

    @property
    def reason(self) -> Finished | StopReason:
        """Why it has ended, by its last message."""
        assert isinstance(self.last, Ended), self.last
        return self.last.reason

    @property
    def failure(self) -> Failed:
        """Its last message, that it has failed."""
        assert isinstance(self.last, Failed), self.last
        return self.last

    @property
    def output(self) -> list[str]:
        """The lines that its code printed."""
        return [said.text for said in self.said if isinstance(said, Output)]

    @property
    def notes(self) -> list[str]:
        """What it said about how it sends."""
        return [said.text for said in self.said if isinstance(said, Remark)]

    @property
    def progress(self) -> Progress:
        """The counts of the last message."""
        assert isinstance(self.last, Ended | ProgressReport), self.last
        return self.last.progress

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Each parameter's outcome, as far as the journal has it, by the parameter as text."""
        assert len({record.index for record in self.records}) == len(self.records), "two records for one parameter"
        return {
            str(record.parameter): Outcome(record.kind, record.result, record.status, record.failure)
            for record in self.records
        }


def journal(directory: ListDirectory) -> GenerationDirectory:
    """Return the generation that `job` writes."""
    return directory.shard(0).generation(1)


def run(todo: Job) -> Run:
    """Run a job to its end."""
    with EngineProcess(todo) as engine:
        return listened(engine, todo)


def listened(engine: EngineProcess, todo: Job) -> Run:
    """Listen to a running engine to its end."""
    found = Run(said=list(engine.listen()))
    found.ended = engine.ended
    # A test may have put something in the journal's place.
    with suppress(NotADirectoryError):
        found.records = list(read_records(journal(list_at(todo.directory))))
    return found
