"""An author's function on its way to the engine: packed here, and refused here if it can't travel.

A function of an importable module travels by name. One that is written in the DAG file (which Airflow imports
under a made-up module name), a lambda or a partial travels by value, with what it refers to.
"""

from __future__ import annotations

import functools
import inspect
import io
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import cloudpickle

from airflow_fanout.codec import Json
from airflow_fanout.launch.errors import AsyncFunction, FunctionMisfits, FunctionNotSent
from airflow_fanout.model import parameter

# Airflow's dag processor and task runner import a DAG file under this name, which no other process knows.
_DAG_FILE = "unusual_prefix_"


def pack(function: Callable[..., Any]) -> bytes:
    """Return a function as bytes; raise `FunctionNotSent`, which says why, if it can't be sent."""
    name = describe(function)
    if _is_async(function):
        raise AsyncFunction(name, "it is async")
    by_value = [*_dag_files(), *_with_airflow(function)]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        return _dump(function)
    except _NeedsAirflow as error:
        raise FunctionNotSent(name, f"it uses {error}, and there is no Airflow in the engine") from error
    except Exception as error:
        raise FunctionNotSent(name, f"{type(error).__name__}: {error}") from error
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)


def _dag_files() -> list[ModuleType]:
    # All of them, not only the function's own: a partial, say, is of the module functools.
    return [module for name, module in sys.modules.copy().items() if name.startswith(_DAG_FILE)]


def _with_airflow(function: Callable[..., Any]) -> list[ModuleType]:
    """Return the function's module if that imports Airflow: the engine can't import it, so the function goes alone."""
    name = getattr(_inner(function), "__module__", None)
    module = sys.modules.get(name or "")
    # A DAG file's goes by value as it is.
    if module is None or module.__name__.startswith(_DAG_FILE):
        return []
    return [module] if any(_is_airflows(value) for value in vars(module).copy().values()) else []


def _is_airflows(value: object) -> bool:
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(home, str) and home.partition(".")[0] == "airflow"


def _is_async(function: Callable[..., Any]) -> bool:
    called = (function, getattr(function, "__call__", None))  # noqa: B004 - an object's own method is looked at
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in called)


def check_call(function: Callable[..., Any], first: Json) -> None:
    """Raise `FunctionMisfits` unless the function can be called with a session and a parameter such as this one."""
    args, kwargs = parameter.arguments(first)
    _check(function, args, kwargs, ("session", *(f"value {place}" for place in range(len(args))), *kwargs))


def check_function(function: Callable[..., Any], names: Sequence[str]) -> None:
    """Check what can be known of a function when a DAG is parsed.

    :param names: those of the parameters; none if they aren't known.
    :raises AsyncFunction: when it would have to be awaited.
    :raises FunctionMisfits: when it can't be called with a parameter that has these names, or with none at all.
    """
    if _is_async(function):
        raise AsyncFunction(describe(function), "it is async")
    if names:
        check_call(function, dict.fromkeys(names))
        return
    signature = _signature(function)
    if signature is None or len(signature.parameters) > 1:
        return
    if not any(argument.kind is argument.VAR_POSITIONAL for argument in signature.parameters.values()):
        _check(function, [None], {}, ("session", "…the parameter…"))


def _check(function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], given: tuple[str, ...]) -> None:
    signature = _signature(function)
    if signature is None:
        return
    try:
        signature.bind(object(), *args, **kwargs)
    except TypeError as error:
        raise FunctionMisfits(f"{describe(function)}{signature}", given, str(error)) from error


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        # A function of C's that doesn't say.
        return None


def describe(function: Callable[..., Any]) -> str:
    """Return a function's name with its place, for people."""
    inner = _inner(function)
    name = getattr(inner, "__qualname__", repr(inner))
    code = getattr(inner, "__code__", None)
    return f"{name} ({code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno})" if code else name


def _inner(function: Callable[..., Any]) -> Any:
    """Return the function inside of partials and decorators."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function)


class _NeedsAirflow(Exception):
    """The function refers to a part of Airflow."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no type hints
    def reducer_override(self, obj: Any) -> Any:
        travels_by_name = inspect.ismodule(obj) or inspect.isclass(obj) or inspect.isfunction(obj)
        if travels_by_name and _is_airflows(obj):
            home = obj.__name__ if inspect.ismodule(obj) else obj.__module__
            raise _NeedsAirflow(f"{home}.{getattr(obj, '__qualname__', '')}".rstrip("."))
        return super().reducer_override(obj)


def _dump(function: Callable[..., Any]) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(function)
    return file.getvalue()
