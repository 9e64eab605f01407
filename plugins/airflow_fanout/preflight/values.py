"""Whether a request or a function can take the values that its fetch has for it: known from how they are written."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from airflow_fanout.api.request import Request
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf
from airflow_fanout.model.functions import describe
from airflow_fanout.preflight.arguments import is_resolved_later, wrong
from airflow_fanout.preflight.fields import texts_of
from airflow_fanout.preflight.templates import roots, texts, without_templates

EXAMPLE = '{"key": "{{ var.value.api_key }}"}'
# What these give is in Airflow's own pages, and no secret.
_OPEN = frozenset(
    {
        *("as_of", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "logical_date"),
        *("macros", "params", "prev_data_interval_end_success", "prev_data_interval_start_success", "run_id"),
        *("task", "task_instance", "ti", "triggering_asset_events", "ts", "ts_nodash"),
    }
)


def check_values(values: object, request: Request | Callable[..., Any], names: Collection[str]) -> dict[str, Any]:
    """Return values by their names; raise `BadSetting` unless the request or the function can take them.

    :param names: of the parameters' fields; none if they aren't known.
    """
    if not isinstance(values, Mapping):
        raise BadSetting("values", KindOf(values), f"values by their names, such as {EXAMPLE}")
    for name, value in values.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise BadSetting("values", name, f"names that are Python identifiers, such as {EXAMPLE}")
        check_no_field(name, names)
        _check_value(name, value)
        problem = _field_problem(request, name) if isinstance(request, Request) else _argument_problem(request, name)
        if problem:
            raise wrong("values", name, f"values has {name!r}, but {problem}")
    return dict(values)


def check_no_field(name: str, names: Collection[str]) -> None:
    """Raise `BadSetting` if the parameters have a field with the name of a value."""
    if name in names:
        raise wrong("values", name, f"values has {name!r}, and so have the parameters ({', '.join(names)}): rename it")


def is_open(value: Any) -> bool:
    """Return whether what a value is rendered to is no secret: it is written in the DAG, or in Airflow's pages."""
    return not is_resolved_later(value) and all(root in _OPEN for text in texts(value) for root in roots(text))


def _check_value(name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for part in value.values():
            _check_value(name, part)
    elif isinstance(value, list | tuple):
        for part in value:
            _check_value(name, part)
    elif not (isinstance(value, str | int | float | None) or is_resolved_later(value)):
        raise BadSetting(f"values[{name!r}]", KindOf(value), "a text, a number, a list or a dict of these, or an XCom")


def _field_problem(request: Request, name: str) -> str | None:
    field = re.compile(rf"(?<!\\)\{{{re.escape(name)}\}}")
    if any(field.search(without_templates(text)) for _, text in texts_of(request)):
        return None
    return f"no text of the request has the field {{{name}}}."


def _argument_problem(function: Callable[..., Any], name: str) -> str | None:
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Written in C: nobody knows before it is called.
        return None
    if arguments and arguments[0].name == name:
        return f"this is the session of {describe(function)}."
    if any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
        return None
    by_name = {each.name for each in arguments if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
    if name in by_name:
        return None
    return f"{describe(function)} has no such argument. Write it as def fetch(session, …, *, {name})."
