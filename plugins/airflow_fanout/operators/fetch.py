"""fetch: one engine for one range of the frozen list."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, Context, XComArg
from msgspec.structs import replace

from airflow_fanout.adapters.border import KindOf, Reference, airflow_errors, checked_list, is_yes, whole_number
from airflow_fanout.adapters.bound import bind, resolved
from airflow_fanout.adapters.connection import usable_endpoint_of
from airflow_fanout.adapters.lineage import HasLineage, Lineage, api_resource, frozen_list, journal, report_of
from airflow_fanout.adapters.metrics import Metrics, of_duration
from airflow_fanout.adapters.noting import noted
from airflow_fanout.adapters.templates import TextTemplates
from airflow_fanout.alerts.note import Counts
from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.errors import LongWait
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.model.settings import MIB, Breaker, FetchSettings, Retry, Throttle, Timeouts, Transport, check_whole
from airflow_fanout.operators.parsed import check_list, check_number, check_request, check_switch, check_text, names_of

if TYPE_CHECKING:
    # A DAG file that is parsed starts no engine.
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_fanout.adapters.fetch_metrics import FetchMeasures
    from airflow_fanout.adapters.reporter import Reporter
    from airflow_fanout.launch.engines import Engines
    from airflow_fanout.launch.job import Job
    from airflow_fanout.launch.plan import Part
    from airflow_fanout.model.progress import Progress


class GeventFetchOperator(TextTemplates, BaseOperator, HasLineage):
    """Request an API once for each parameter, many at a time, and keep every outcome in the run's journal.

    The requests are made by a gevent pool in an interpreter of its own: nothing of it touches Airflow's process.
    A second try of this task requests only what has no good outcome yet.

    :param request: a declarative `Request`, or a function `fetch(session, …parameter…) -> result | None` that gets
        a `requests.Session` at the connection's address, and the parameter: an object's fields by keyword, a
        tuple's values by position.
    :param http_conn_id: the Airflow connection of the API.
    :param parameters: the output of an `ExtractOperator`: all of its list, or
    :param shard: one element of its output, where it cuts the list into shards; for `expand`.
    :param concurrency: the most requests under way at once; a number or a template that gives one, such as
        `{{ params.concurrency or 100 }}`.
    :param timeouts: connect, read and total timeout of one try.
    :param retry: when a request is tried again within this task.
    :param throttle: how fast requests follow each other: it adapts to what the API can take.
    :param breaker: when the run is stopped early, because the rest is doomed.
    :param max_body_bytes: the largest answer, after decompression.
    :param transport: what sends the requests: `curl`, `requests`, or `auto`, the first that is installed.
    :param processes: how many processes send the requests, each with its share of the concurrency and of all limits;
        by default as many as are useful for the concurrency, never more than the cores that this worker may use.
    :param refetch: whether to request everything again, also what already has good outcomes; a template, such as
        `{{ params.refetch }}`.

    Returns a summary: counts by kind of outcome, seconds, rate, latencies. Bad outcomes don't fail this task; what
    they mean is validate's to say.
    """

    template_fields: Sequence[str] = ("request_template", "parameters", "shard", "refetch", "concurrency")
    template_fields_renderers = {"request_template": "json"}  # noqa: RUF012 - an attribute of Airflow's
    ui_color = "#fbe3c8"

    def __init__(
        self,
        *,
        request: Request | Callable[..., Any],
        http_conn_id: str,
        parameters: Reference | XComArg | None = None,
        shard: Mapping[str, Any] | None = None,
        concurrency: int | str = 32,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
        retry: Retry = Retry(),  # noqa: B008 - a frozen value
        throttle: Throttle = Throttle(),  # noqa: B008 - a frozen value
        breaker: Breaker = Breaker(),  # noqa: B008 - a frozen value
        max_body_bytes: int = 16 * MIB,
        transport: Transport = "auto",
        processes: int | None = None,
        refetch: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if parameters is not None and shard is not None:
            raise BadSetting(
                "shard", KindOf(shard), "nothing besides `parameters`: a task takes the list or a shard of it"
            )
        check_list("parameters" if shard is None else "shard", parameters if shard is None else shard)
        check_request(request, names_of(parameters), self)
        check_text("http_conn_id", http_conn_id, "call_api")
        check_number("concurrency", concurrency)
        check_switch("refetch", refetch)
        self.function = None if isinstance(request, Request) else request
        if self.function is not None:
            bind(self, "request", self.function)
        self.request_template = request.template() if isinstance(request, Request) else None
        self.endpoint = request.endpoint if isinstance(request, Request) else ""
        self.http_conn_id = http_conn_id
        self.parameters = parameters
        self.shard = shard
        self.concurrency = concurrency
        if processes is not None:
            check_whole("processes", processes)
        # What a template gives is known, and checked, when the task runs.
        known = str(concurrency).strip().isdecimal()
        self.settings = FetchSettings(
            concurrency=int(str(concurrency)) if known else 1,
            timeouts=timeouts,
            retry=retry,
            throttle=throttle,
            breaker=breaker,
            max_body_bytes=max_body_bytes,
            transport=transport,
            processes=processes if known else None,
        )
        self.processes = processes
        self.refetch = refetch
        # The DAG file has just been loaded, and the modules that it imports: this is what the engine has to run.
        self._code = LoadedCode.now() if self.function is not None else LoadedCode(path=tuple(sys.path))
        self._fleet: Engines | None = None
        self._part_of: Part | None = None
        self._seen: Progress | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what is known of a mapped fetch, which is made when its task runs only, and have Airflow map it."""
        given = {name: kwargs[name] for name in FetchSettings.__struct_fields__ if name in kwargs}
        if "concurrency" in given:
            check_number("concurrency", given.pop("concurrency"))
            given.pop("processes", None)
        FetchSettings(**given)
        if "request" in kwargs:
            check_request(kwargs["request"], names_of(kwargs.get("parameters")))
        if "http_conn_id" in kwargs:
            check_text("http_conn_id", kwargs["http_conn_id"], "call_api")
        return super().partial(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the engine and listen to it."""
        with noted(context, self._counts), airflow_errors():
            self.function = resolved(self.function, context)
            self._part_of = part = self._part()
            job = self._job(part)
            self.log.info("Fetching %s from %s", job, job.endpoint.base_url)
            try:
                summary = self._fetch(job, part, context).summary()
            except LongWait as wait:
                self._hand_back(wait)
            part.directory.shard(part.shard).generation(job.generation).mark_complete(summary)
            self.log.info("Fetched %s", summary)
            Metrics(self).tell([of_duration("fetch", summary)])
            return summary

    def resume(self, context: Context, event: Any = None) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Go on after a long wait."""
        return self.execute(context)

    def on_kill(self) -> None:
        """End the engine with the task."""
        if self._fleet is not None:
            self._fleet.ask_to_stop()

    def lineage(self) -> Lineage:
        """Return the list and the API's resource, whose name is as the DAG has it, and the journal."""
        report = report_of(self.shard or self.parameters or {})
        asked = api_resource(self.http_conn_id, self.endpoint)
        return Lineage(inputs=(frozen_list(report), asked), outputs=(journal(report),))

    def _hand_back(self, wait: LongWait) -> NoReturn:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        moment = datetime.now(UTC) + timedelta(seconds=wait.seconds)
        self.log.warning("%s The task gives its worker slot back until %s.", wait, moment.isoformat(timespec="seconds"))
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="resume")

    def _part(self) -> Part:
        from airflow_fanout.launch.plan import Part

        return Part.of(*checked_list(self.shard or self.parameters or {}), self.shard)

    def _job(self, part: Part) -> Job:
        from airflow_fanout.launch.plan import plan

        concurrency = whole_number("concurrency", self.concurrency)
        return plan(
            part,
            self.function or Request(**self.request_template or {}),
            endpoint=usable_endpoint_of(self.http_conn_id),
            settings=replace(self.settings, concurrency=concurrency, processes=self.processes),
            code=self._code,
            refetch=is_yes("refetch", self.refetch),
        )

    def _fetch(self, job: Job, part: Part, context: Context) -> Progress:
        from airflow_fanout.adapters.fetch_metrics import FetchMeasures
        from airflow_fanout.adapters.reporter import Reporter
        from airflow_fanout.launch.engines import Engines
        from airflow_fanout.model.progress import Progress

        reporter = Reporter(self.log, context, part.directory.shard(part.shard).progress)
        if not job.indexes:
            # Nothing is sent, and the fields of an empty list are unknown: the engine would refuse the request's.
            nothing = Progress(total=0)
            reporter.end(nothing)
            return nothing
        with Engines(job) as self._fleet:
            return self._listen(self._fleet, FetchMeasures(job.shard), reporter)

    def _listen(self, fleet: Engines, measures: FetchMeasures, reporter: Reporter) -> Progress:
        from airflow_fanout.launch.ending import progress_at_end
        from airflow_fanout.launch.messages import Ended, Failed, ProgressReport

        final: Ended | Failed | None = None
        metrics = Metrics(self)
        for message in fleet.listen():
            metrics.tell(measures.of_message(message))
            match message:
                case ProgressReport():
                    reporter.show(self._see(message.progress))
                case Ended():
                    final = message
                    reporter.end(self._see(message.progress))
                case Failed():
                    # An engine that has failed itself has no progress to tell.
                    final = message
                case _:
                    reporter.log(message)
        return progress_at_end(final, fleet, f"the connection {self.http_conn_id!r}")

    def _see(self, progress: Progress) -> Progress:
        self._seen = progress
        return progress

    def _counts(self) -> Counts | None:
        if self._part_of is None or self._seen is None:
            return None
        return Counts.of_progress(self._seen, self._part_of.manifest.count)
