"""One run of a fetch: what Airflow has rendered becomes values, first for what earlier runs have left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_fanout.adapters.border import airflow_errors
from airflow_fanout.adapters.bound import resolved
from airflow_fanout.adapters.fetch_task import FetchTask
from airflow_fanout.adapters.noting import noted
from airflow_fanout.adapters.values import TaskValues
from airflow_fanout.api.request import Request
from airflow_fanout.model.rendered import is_yes, whole_number

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_fanout.operators.fetch import GeventFetchOperator


def run_fetch(fetch: GeventFetchOperator, task: FetchTask, context: Context) -> dict[str, Any]:
    """Run the engines of a fetch, and return its summary; its failure is noted with what is missing.

    :param task: the fetch's task, which Airflow may end meanwhile.
    """
    with noted(context, task.counts), airflow_errors():
        fetch.function = resolved(fetch.function, context)
        functions = {name: resolved(function, context) for name, function in fetch.request_functions.items()}
        part = task.part(fetch.shard or fetch.parameters or {}, fetch.shard)
        values = TaskValues(fetch, fetch.values, part.manifest.fields)
        concurrency = whole_number("concurrency", fetch.concurrency)
        way: dict[str, Any] = {
            "http_conn_id": fetch.http_conn_id,
            "settings": replace(fetch.settings, concurrency=concurrency, processes=fetch.processes),
            "code": fetch.code,
            "sign": resolved(fetch.sign, context),
            "hidden": values.hidden(context),
        }
        catch_up = task.catch_up(
            part, lambda earlier: values.into(_request_of(fetch, earlier, functions), earlier), **way
        )
        request = fetch.function or Request(**{**(fetch.request_template or {}), **functions})
        summary = task.fetch(part, values.into(request, context), refetch=is_yes("refetch", fetch.refetch), **way)
        return {**summary, "catch_up": catch_up} if catch_up else summary


def _request_of(
    fetch: GeventFetchOperator, context: Context, functions: Mapping[str, Any]
) -> Request | Callable[..., Any]:
    """Return what is asked with in a context that has the date of an earlier run."""
    if fetch.written is None:
        return fetch.function  # type: ignore[return-value] # it is one of the two
    return Request(**{**fetch.render_template(fetch.written.template(), context), **functions})
