"""What can be known of a fetch's arguments while its DAG file is parsed: a mistake there is an import error."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_fanout.api.request import Request
from airflow_fanout.api.template import check_fields
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.calling import check_function
from airflow_fanout.masking import KindOf
from airflow_fanout.model.functions import FunctionWithValues
from airflow_fanout.model.rendered import is_yes
from airflow_fanout.model.settings import FetchSettings, check_whole
from airflow_fanout.operators.parsed import check_list, check_templates, names_of
from airflow_fanout.preflight.arguments import check_rendered, check_text
from airflow_fanout.preflight.fields import written_problems
from airflow_fanout.preflight.signatures import check_signature

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


def check_fetch(
    fetch: BaseOperator,
    request: object,
    parameters: object,
    shard: object,
    http_conn_id: object,
    concurrency: object,
    refetch: object,
    values: object = MappingProxyType({}),
    *,
    sign: object = None,
    processes: int | None = None,
) -> None:
    """Raise what is wrong with the arguments of a fetch, except those that are its settings alone."""
    check_signing(sign)
    if parameters is not None and shard is not None:
        raise BadSetting("shard", KindOf(shard), "nothing besides `parameters`: a task takes the list or a shard of it")
    check_list("parameters" if shard is None else "shard", parameters if shard is None else shard)
    check_request(request, names_of(parameters), fetch, values)
    check_connection(http_conn_id, names_of(parameters), processes)
    check_rendered("concurrency", concurrency)
    check_rendered("refetch", refetch, is_yes)


def check_request(
    request: object,
    names: Sequence[str],
    task: BaseOperator | None = None,
    values: object = MappingProxyType({}),
) -> None:
    """Raise what is wrong with a request, as it is written.

    :param names: of the parameters' fields; none if they aren't known.
    :param task: whose templates they are; its DAG may have macros of its own.
    :param values: what the request or the function gets besides the parameter.
    """
    if not isinstance(request, Request) and not callable(request):
        raise BadSetting("request", request, "a Request, or a function fetch(session, …parameter…)")
    by_name = _checked_values(values, request, names, task)
    if not isinstance(request, Request):
        check_function(FunctionWithValues(request, by_name) if by_name else request, names)
        return
    check_templates("request", request.template(), names, task)
    for field, function in request.functions().items():
        check_signature(field, function)
    for problem in written_problems(request, (*names, *by_name) if names else ()):
        raise problem


def _checked_values(
    values: object, request: Request | Callable[..., Any], names: Sequence[str], task: BaseOperator | None
) -> dict[str, Any]:
    """Return the values of a fetch by their names; raise what is wrong with them."""
    if values == {}:
        return {}
    # Most DAG files have none.
    from airflow_fanout.preflight.values import check_values

    by_name = check_values(values, request, names)
    check_templates("values", by_name, names, task)
    return by_name


def check_connection(http_conn_id: object, names: Sequence[str], processes: int | None) -> None:
    """Raise what is wrong with the id of a connection, or with a text that gives each parameter's.

    :param names: of the parameters' fields; none if they aren't known.
    """
    check_text("http_conn_id", http_conn_id, "call_api")
    text = str(http_conn_id)
    if "{" not in text and "}" not in text:
        return
    # Most DAG files have one connection.
    from airflow_fanout.launch.connections import ConnectionName

    fields = ConnectionName(text).fields
    if names:
        check_fields("http_conn_id", fields, tuple(names))
    if not fields:
        raise BadSetting("http_conn_id", text, "the id of a connection, or a text with a field, such as 'shop_{shop}'")
    if processes not in (None, 1):
        raise BadSetting("processes", processes, f"None or 1 where parameters name their connections ({text!r})")


def check_signing(sign: object) -> None:
    """Raise `BadSetting` unless this can sign requests, or is nothing."""
    if sign is None:
        return
    # A DAG file whose requests aren't signed doesn't load it.
    from airflow_fanout.api.signing import check_sign

    check_sign(sign)


def fetch_settings(concurrency: object, processes: int | None, **others: Any) -> FetchSettings:
    """Return a fetch's settings, as far as they are known: a template's concurrency is, and is checked, in the task."""
    if processes is not None:
        check_whole("processes", processes)
    if not (known := str(concurrency).strip()).isdecimal():
        return FetchSettings(concurrency=1, **others)
    return FetchSettings(concurrency=int(known), processes=processes, **others)


def check_mapped_fetch(arguments: Mapping[str, Any]) -> None:
    """Raise what is wrong with the arguments of a fetch's `partial`, which lack those that it is mapped over."""
    settings = {name: arguments[name] for name in FetchSettings.__struct_fields__ if name in arguments}
    if "concurrency" in settings:
        check_rendered("concurrency", settings.pop("concurrency"))
        settings.pop("processes", None)
    FetchSettings(**settings)
    check_signing(arguments.get("sign"))
    if "request" in arguments:
        values = arguments.get("values", {})
        check_request(arguments["request"], names_of(arguments.get("parameters")), values=values)
    if "http_conn_id" in arguments:
        names = names_of(arguments.get("parameters"))
        check_connection(arguments["http_conn_id"], names, arguments.get("processes"))
