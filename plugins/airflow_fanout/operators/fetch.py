"""fetch: one engine for one range of the frozen list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_fanout.adapters.bound import bind
from airflow_fanout.adapters.operator import EngineOperator
from airflow_fanout.api.request import Request
from airflow_fanout.launch.loaded_code import LoadedCode
from airflow_fanout.model.settings import MIB, Breaker, Retry, Throttle, Timeouts, Transport
from airflow_fanout.operators.fetch_arguments import check_fetch, check_mapped_fetch, fetch_settings
from airflow_fanout.operators.parsed import check_partial

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_fanout.adapters.lineage import Lineage
    from airflow_fanout.staging.reference import Reference


class GeventFetchOperator(EngineOperator):
    """Request an API once for each parameter, many at a time, and keep every outcome in the run's journal.

    The requests are made in an interpreter of its own: nothing touches Airflow's process. A second try of this task
    requests only what has no good outcome yet.

    :param request: a declarative `Request`, or a function `fetch(session, …parameter…) -> result | None` that gets
        a `requests.Session` at the connection's address, and the parameter: an object's fields by keyword, a
        tuple's values by position.
    :param http_conn_id: the Airflow connection of the API, or a text that gives each parameter's: `shop_{shop}`.
    :param parameters: the output of an `ExtractOperator`: all of its list, or
    :param shard: one element of its output, where it cuts the list into shards; for `expand`.
    :param concurrency: the most requests under way at once; a number, or a template such as `{{ params.concurrency }}`.
    :param timeouts: and `retry`, `throttle`, `breaker`, `max_body_bytes` in bytes, `transport` and `processes`: how to
        fetch, as `FetchSettings` describes each of them.
    :param sign: a function of any of `method`, `url`, `headers`, `body`, `login`, `password` that returns headers, such
        as a signature; called in the engine for each request to the connection's own address.
    :param refetch: whether to request again what has good outcomes, too; a template, such as `{{ params.refetch }}`.
    :param values: values for the request's fields, or keyword arguments of the function, by their names. Templates in
        them are rendered when the task runs, and what they give is stored nowhere: `{"key": "{{ var.value.key }}"}`.

    Returns a summary: counts by kind of outcome, seconds, rate, latencies. Bad outcomes are validate's to judge.
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
        more: Any = {"sign": sign, "processes": processes}
        check_fetch(self, request, parameters, shard, http_conn_id, concurrency, refetch, values, **more)
        self.function = None if isinstance(request, Request) else request
        self.request_template = request.template() if isinstance(request, Request) else None
        # They are in no template field: Airflow neither renders nor stores them.
        self.request_functions = request.functions() if isinstance(request, Request) else {}
        self.sign = sign
        functions = {"request": self.function} if self.function else self.request_functions
        functions = functions | ({} if sign is None else {"sign": sign})
        for name, function in functions.items():
            bind(self, name, function)
        # As it was written: what an earlier run has left out is asked for with that run's date.
        self.written = request if isinstance(request, Request) else None
        self.endpoint = request.endpoint if isinstance(request, Request) else ""
        self.http_conn_id = http_conn_id
        self.parameters, self.shard = parameters, shard
        self.concurrency = concurrency
        self.processes = processes
        self.refetch = refetch
        # In no template field either: what they are rendered to may be secret.
        self.values = dict(values)
        XComArg.apply_upstream_relationship(self, self.values)
        parts = {"timeouts": timeouts, "retry": retry, "throttle": throttle, "breaker": breaker, "transport": transport}
        self.settings = fetch_settings(concurrency, processes, **parts, max_body_bytes=max_body_bytes)
        self.code = LoadedCode.needed(functions.values())
        check_partial(self)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what is known of a mapped fetch, which is made when its task runs only, and have Airflow map it."""
        check_mapped_fetch(kwargs)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the engine and listen to it."""
        from airflow_fanout.adapters.fetch_run import run_fetch

        return run_fetch(self, self.begin(context), context)

    def lineage(self) -> Lineage:
        """Return the list and the API's resource, whose name is as the DAG has it, and the journal."""
        from airflow_fanout.adapters.lineage import of_fetch

        return of_fetch(self.shard or self.parameters or {}, self.http_conn_id, self.endpoint)
