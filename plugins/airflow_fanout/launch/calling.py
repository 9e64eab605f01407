"""Whether an author's function can be called as the engine will call it: known from its signature.

A DAG file that is parsed loads this module. What packs functions, and the errors, it doesn't need.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_fanout.codec import Json
from airflow_fanout.model import parameter
from airflow_fanout.model.functions import FunctionWithValues, describe, is_async


def check_call(function: Callable[..., Any], first: Json) -> None:
    """Check that a function can be called with a session and a parameter such as this one.

    :param first: a parameter of the list; all others have the same fields.
    :raises FunctionMisfits: when its signature doesn't allow that call.
    """
    args, kwargs = parameter.arguments(first)
    function, values = _apart(function)
    given = ("session", *(f"value {place}" for place in range(len(args))), *kwargs, *values)
    _check(function, args, {**values, **kwargs}, given)


def check_function(function: Callable[..., Any], names: Sequence[str]) -> None:
    """Check what can be known of a function when a DAG is parsed.

    :param names: those of the parameters; none if they aren't known.
    :raises AsyncFunction: when it would have to be awaited.
    :raises FunctionMisfits: when it can't be called with a parameter that has these names, or with none at all.
    """
    function, values = _apart(function)
    if is_async(function):
        from airflow_fanout.launch.function_errors import AsyncFunction

        raise AsyncFunction(describe(function), "it is async")
    if names:
        check_call(FunctionWithValues(function, values) if values else function, dict.fromkeys(names))
        return
    signature = _signature(function)
    if signature is None or len(signature.parameters) > 1 or values:
        return
    if not any(argument.kind is argument.VAR_POSITIONAL for argument in signature.parameters.values()):
        _check(function, [None], {}, ("session", "…the parameter…"))


def _apart(function: Callable[..., Any]) -> tuple[Callable[..., Any], Mapping[str, Json]]:
    """Return a function and the values that it gets besides the parameter."""
    return (function.function, function.values) if isinstance(function, FunctionWithValues) else (function, {})


def _check(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], fields: tuple[str, ...]) -> None:
    signature = _signature(function)
    if signature is None:
        return
    try:
        signature.bind(object(), *args, **kwargs)
    except TypeError as error:
        from airflow_fanout.launch.function_errors import FunctionMisfits

        raise FunctionMisfits(f"{describe(function)}{signature}", fields, str(error)) from error


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        # A function of C's that doesn't say.
        return None
