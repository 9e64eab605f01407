"""Whether an author's functions can be called as they will be: known from their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from airflow_fanout.preflight.errors import WrongFunction


def check_document(function: object) -> None:
    """Raise `WrongFunction` unless the function can be called as `document(parameter, result)`."""
    _check("document", function, ("parameter", "result"))


def check_over(function: object) -> None:
    """Raise `WrongFunction` unless the function can be called as `CustomCheck` does, with one iterator of pairs."""
    _check("CustomCheck", function, ("pairs",))


def _check(argument: str, function: object, places: Sequence[str], names: Sequence[str] = ()) -> None:
    _check_callable(argument, function)
    assert callable(function)  # noqa: S101 - for the type checker: what isn't was refused
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Written in C: nobody knows before it is called.
        return
    try:
        signature.bind(*places, **dict.fromkeys(names))
    except TypeError as error:
        called = ", ".join([*places, *(f"{name}=…" for name in names)])
        problem = f"is written as {signature}, but it is called with ({called}): {error}. {_advice(argument)}"
        raise WrongFunction(argument, _named(function), problem) from None


def _named(function: Any) -> str:
    # It loads what packs functions, which those who only look at one needn't have.
    from airflow_fanout.launch.shipping import describe

    return describe(function)


def _check_callable(argument: str, function: object) -> None:
    if not callable(function):
        raise WrongFunction(argument, repr(function), f"is a {type(function).__name__}, and not a function.")
    if is_async(function):
        raise WrongFunction(
            argument, _named(function), "is async, and nothing awaits it. Write `def`, not `async def`."
        )


def is_async(function: Any) -> bool:
    """Tell whether calling the function gives a coroutine or an asynchronous generator."""
    inner = inspect.unwrap(getattr(function, "func", function))
    found = (inner, getattr(type(inner), "__call__", None))  # noqa: B004 - its code is looked at, not whether it is there
    return any(inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one) for one in found)


def _advice(argument: str) -> str:
    if argument == "document":
        return "Write it as def document(parameter, result)."
    return "Write it as def check(pairs)."
