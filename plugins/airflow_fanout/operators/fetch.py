"""fetch: one engine for one range of the frozen list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg
from msgspec.structs import replace

from airflow_fanout.adapters.bound import bind, resolved
from airflow_fanout.adapters.operator import EngineOperator
from airflow_fanout.api.request import Request
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.model.rendered import is_yes, whole_number
from airflow_fanout.model.settings import MIB, Breaker, Retry, Throttle, Timeouts, Transport
from airflow_fanout.operators.fetch_arguments import check_fetch, check_mapped_fetch, check_signing, fetch_settings
from airflow_fanout.operators.parsed import check_partial

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_fanout.adapters.lineage import Lineage
    from airflow_fanout.staging.reference import Reference


class GeventFetchOperator(EngineOperator):
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
    :param sign: a function of any of `method`, `url`, `headers`, `body`, `login`, `password` that returns headers, such
        as a signature; called in the engine for each request to the connection's own address.
    :param refetch: whether to request everything again, also what already has good outcomes; a template, such as
        `{{ params.refetch }}`.
    :param values: values for the request's fields, or keyword arguments of the function, by their names. Templates in
        them are rendered when the task runs, and what they give is stored nowhere: `{"key": "{{ var.value.key }}"}`.

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
        values: Mapping[str, Any] = MappingProxyType({}),
        sign: Callable[..., Mapping[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_fetch(self, request, parameters, shard, http_conn_id, concurrency, refetch, values)
        self.function = None if isinstance(request, Request) else request
        self.request_template = request.template() if isinstance(request, Request) else None
        # They are in no template field: Airflow neither renders nor stores them.
        self.request_functions = request.functions() if isinstance(request, Request) else {}
        functions = {"request": self.function} if self.function else self.request_functions
        check_signing(sign)
        self.sign = sign
        functions = functions | ({} if sign is None else {"sign": sign})
        for name, function in functions.items():
            bind(self, name, function)
        # As it was written: what an earlier run has left out is asked for with that run's date.
        self._request = request if isinstance(request, Request) else None
        self.endpoint = request.endpoint if isinstance(request, Request) else ""
        self.http_conn_id = http_conn_id
        self.parameters = parameters
        self.shard = shard
        self.concurrency = concurrency
        self.processes = processes
        self.refetch = refetch
        # In no template field either: what they are rendered to may be secret.
        self.values = dict(values)
        XComArg.apply_upstream_relationship(self, self.values)
        parts = {"timeouts": timeouts, "retry": retry, "throttle": throttle, "breaker": breaker, "transport": transport}
        self.settings = fetch_settings(concurrency, processes, **parts, max_body_bytes=max_body_bytes)
        self._code = LoadedCode.needed(functions.values())
        check_partial(self)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what is known of a mapped fetch, which is made when its task runs only, and have Airflow map it."""
        check_mapped_fetch(kwargs)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the engine and listen to it."""
        from airflow_fanout.adapters.border import airflow_errors
        from airflow_fanout.adapters.fetch_task import FetchTask
        from airflow_fanout.adapters.noting import noted
        from airflow_fanout.adapters.values import TaskValues

        self._task = FetchTask(self, context)
        with noted(context, self._task.counts), airflow_errors():
            self.function = resolved(self.function, context)
            functions = {name: resolved(function, context) for name, function in self.request_functions.items()}
            concurrency = whole_number("concurrency", self.concurrency)
            part = self._task.part(self.shard or self.parameters or {}, self.shard)
            settings = replace(self.settings, concurrency=concurrency, processes=self.processes)
            values = TaskValues(self, self.values, part.manifest.fields)
            way: dict[str, Any] = {"http_conn_id": self.http_conn_id, "settings": settings, "code": self._code}
            way["sign"] = resolved(self.sign, context)
            way["hidden"] = values.hidden(context)
            catch_up = self._task.catch_up(
                part, lambda earlier: values.into(self._request_of(earlier, functions), earlier), **way
            )
            request = self.function or Request(**{**(self.request_template or {}), **functions})
            request = values.into(request, context)
            summary = self._task.fetch(part, request, refetch=is_yes("refetch", self.refetch), **way)
            return {**summary, "catch_up": catch_up} if catch_up else summary

    def _request_of(self, context: Context, functions: Mapping[str, Any]) -> Request | Callable[..., Any]:
        """Return what is asked with in a context that has the date of an earlier run."""
        if self._request is None:
            return self.function  # type: ignore[return-value] # it is one of the two
        return Request(**{**self.render_template(self._request.template(), context), **functions})

    def lineage(self) -> Lineage:
        """Return the list and the API's resource, whose name is as the DAG has it, and the journal."""
        from airflow_fanout.adapters.lineage import Lineage, api_resource, frozen_list, journal, report_of

        report = report_of(self.shard or self.parameters or {})
        resource = api_resource(self.http_conn_id, self.endpoint)
        return Lineage(inputs=(frozen_list(report), resource), outputs=(journal(report),))
