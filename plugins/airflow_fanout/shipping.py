"""An author's function on its way to the engine: packed here, and refused here if it can't travel.

A function of an importable module travels by name. One that is written in the DAG file (which Airflow imports
under a made-up module name), a lambda or a partial travels by value, with what it refers to.
"""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle

from airflow_fanout import parameter
from airflow_fanout.codec import Json
from airflow_fanout.errors import FunctionNotSent

# Airflow's dag processor and task runner import a DAG file under this name, which no other process knows.
_DAG_FILE = "unusual_prefix_"


def pack(function: Callable[..., Any]) -> bytes:
    """Return a function as bytes; raise `FunctionNotSent`, which says why, if it can't be sent."""
    name = describe(function)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise FunctionNotSent(name, "it is async, and the engine runs plain functions in greenlets; write `def`")
    # All of them, not only the function's own: a partial, say, is of the module functools.
    dag_files = [module for module_name, module in sys.modules.copy().items() if module_name.startswith(_DAG_FILE)]
    for module in dag_files:
        cloudpickle.register_pickle_by_value(module)
    try:
        return _dump(function)
    except _NeedsAirflow as error:
        raise FunctionNotSent(name, f"it uses {error}, and there is no Airflow in the engine") from error
    except Exception as error:
        raise FunctionNotSent(name, f"{type(error).__name__}: {error}") from error
    finally:
        for module in dag_files:
            cloudpickle.unregister_pickle_by_value(module)


def check_call(function: Callable[..., Any], first: Json) -> None:
    """Raise `FunctionNotSent` unless the function can be called with a session and a parameter such as this one."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    args, kwargs = parameter.arguments(first)
    try:
        signature.bind(object(), *args, **kwargs)
    except TypeError as error:
        given = ", ".join(["session", *(f"value {place}" for place in range(len(args))), *kwargs])
        raise FunctionNotSent(f"{describe(function)}{signature}", f"it is called with ({given}): {error}") from error


def describe(function: Callable[..., Any]) -> str:
    """Return a function's name with its place, for people."""
    inner = inspect.unwrap(getattr(function, "func", function))
    name = getattr(inner, "__qualname__", repr(inner))
    code = getattr(inner, "__code__", None)
    return f"{name} ({code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno})" if code else name


class _NeedsAirflow(Exception):
    """The function refers to a part of Airflow."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no type hints
    def reducer_override(self, obj: Any) -> Any:
        home = obj.__name__ if inspect.ismodule(obj) else getattr(obj, "__module__", None)
        travels_by_name = inspect.ismodule(obj) or inspect.isclass(obj) or inspect.isfunction(obj)
        if travels_by_name and isinstance(home, str) and home.split(".")[0] == "airflow":
            raise _NeedsAirflow(f"{home}.{getattr(obj, '__qualname__', '')}".rstrip("."))
        return super().reducer_override(obj)


def _dump(function: Callable[..., Any]) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(function)
    return file.getvalue()
