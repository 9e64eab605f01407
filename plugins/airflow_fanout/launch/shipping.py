"""An author's function on its way to the engine: packed here, and refused here if it can't travel.

A function of an importable module travels by name. One that is written in the DAG file (which Airflow imports
under a made-up module name), a lambda or a partial travels by value, with what it refers to.
"""

from __future__ import annotations

import inspect
import io
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import cloudpickle

from airflow_fanout.launch.function_errors import AsyncFunction, FunctionNotSent
from airflow_fanout.model.functions import describe, inner, is_async

# Airflow's dag processor and task runner import a DAG file under this name, which no other process knows.
_DAG_FILE = "unusual_prefix_"


def pack(function: Callable[..., Any]) -> bytes:
    """Return a function as bytes; raise `FunctionNotSent`, which says why, if it can't be sent."""
    name = describe(function)
    if is_async(function):
        raise AsyncFunction(name, "it is async")
    # All DAG files, not only the function's own: a partial, say, is of the module functools.
    dag_files = [module for name, module in sys.modules.copy().items() if name.startswith(_DAG_FILE)]
    by_value = [*dag_files, *_with_airflow(function)]
    for module in by_value:
        cloudpickle.register_pickle_by_value(module)
    try:
        file = io.BytesIO()
        _Pickler(file).dump(function)
        return file.getvalue()
    except _NeedsAirflow as error:
        raise FunctionNotSent(name, f"it uses {error}, and there is no Airflow in the engine") from error
    except Exception as error:
        raise FunctionNotSent(name, f"{type(error).__name__}: {error}") from error
    finally:
        for module in by_value:
            cloudpickle.unregister_pickle_by_value(module)


def _with_airflow(function: Callable[..., Any]) -> list[ModuleType]:
    """Return the function's module if that imports Airflow: the engine can't import it, so the function goes alone."""
    name = getattr(inner(function), "__module__", None)
    module = sys.modules.get(name or "")
    # A DAG file's goes by value as it is.
    if module is None or module.__name__.startswith(_DAG_FILE):
        return []
    return [module] if any(_is_airflows(value) for value in vars(module).copy().values()) else []


def _is_airflows(value: object) -> bool:
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return isinstance(home, str) and home.partition(".")[0] == "airflow"


class _NeedsAirflow(Exception):
    """The function refers to a part of Airflow."""


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no type hints
    def reducer_override(self, obj: Any) -> Any:
        travels_by_name = inspect.ismodule(obj) or inspect.isclass(obj) or inspect.isfunction(obj)
        if travels_by_name and _is_airflows(obj):
            home = obj.__name__ if inspect.ismodule(obj) else obj.__module__
            raise _NeedsAirflow(f"{home}.{getattr(obj, '__qualname__', '')}".rstrip("."))
        return super().reducer_override(obj)
