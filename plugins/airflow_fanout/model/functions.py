"""An author's functions: what they are called in a message, whether they must be awaited, and what they get."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from airflow_fanout.codec import Json


def inner(function: Callable[..., Any]) -> Any:
    """Return the function inside of partials and decorators."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


def describe(function: Callable[..., Any]) -> str:
    """Return a function's name with its place, for people."""
    innermost = inner(function)
    name = getattr(innermost, "__qualname__", repr(innermost))
    code = getattr(innermost, "__code__", None)
    return f"{name} ({code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno})" if code else name


def is_async(function: Any) -> bool:
    """Tell whether calling a function gives a coroutine or an asynchronous generator; decorators aren't looked into."""
    called = (function, getattr(type(function), "__call__", None))  # noqa: B004 - its code is looked at
    return any(inspect.iscoroutinefunction(code) or inspect.isasyncgenfunction(code) for code in called)


class FunctionWithValues:
    """A function that gets values by keyword. A field of the parameter never takes the place of one of them.

    :param values: by their names; each call gets a copy of its own. They may be secrets: nothing shows them.
    """

    def __init__(self, function: Callable[..., Any], values: Mapping[str, Json]) -> None:
        self.function = function
        self.values = values
        # Its name and its place are those of the function.
        self.__wrapped__ = inner(function)

    def __repr__(self) -> str:
        return f"FunctionWithValues({self.function!r}, values={sorted(self.values)})"

    def __call__(self, session: Any, /, *args: Any, **fields: Any) -> Any:
        """Call the function; raise `TypeError` if a field of the parameter has the name of a value."""
        return self.function(session, *args, **fields, **deepcopy(dict(self.values)))
