"""An author's functions: what they are called in a message, and whether they must be awaited."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


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
