"""Whether an author's functions can be called as they will be: known from their signatures."""

from __future__ import annotations

import inspect

from airflow_fanout.model.functions import describe, inner, is_async

# How a function is written that stands in each place, by the argument's name, and what it is called with.
_WRITTEN = {
    "document": ("document", "parameter, result"),
    "CustomCheck": ("check", "pairs"),
    "failed_if": ("failed_if", "answer"),
    "retry_if": ("retry_if", "answer"),
    "parse": ("parse", "body"),
}


def check_signature(argument: str, function: object) -> None:
    """Check that an author's function can be called as it will be.

    :param argument: `document` of a load, `CustomCheck`, or the field of a request that the function is.
    :raises WrongFunction: when it can't.
    """
    name, places = _WRITTEN[argument]
    if problem := _problem(function, tuple(places.split(", ")), f"def {name}({places})"):
        # A DAG file whose functions are right doesn't load the error.
        from airflow_fanout.preflight.errors import WrongFunction

        raise WrongFunction(argument, describe(function) if callable(function) else repr(function), problem)


def _problem(function: object, places: tuple[str, ...], example: str) -> str | None:
    """Return why a function can't be called with this number of values, `None` if it can or if nobody knows."""
    if not callable(function):
        return f"is a {type(function).__name__}, and not a function."
    if is_async(inner(function)):
        return "is async, and nothing awaits it. Write `def`, not `async def`."
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Written in C: nobody knows before it is called.
        return None
    try:
        signature.bind(*places)
    except TypeError as error:
        called = ", ".join(places)
        return f"is written as {signature}, but it is called with ({called}): {error}. Write it as {example}."
    return None
