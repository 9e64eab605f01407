"""Whether an author's functions can be called as they will be: known from their signatures."""

from __future__ import annotations

import inspect

from airflow_fanout.model.functions import describe, inner, is_async


def check_document(function: object) -> None:
    """Raise `WrongFunction` unless the function can be called as `document(parameter, result)`."""
    _check("document", function, ("parameter", "result"), "def document(parameter, result)")


def check_over(function: object) -> None:
    """Raise `WrongFunction` unless the function can be called as `CustomCheck` does, with one iterator of pairs."""
    _check("CustomCheck", function, ("pairs",), "def check(pairs)")


# What each field of a request that is a function is called with.
_OF_REQUESTS = {"failed_if": "answer", "retry_if": "answer", "parse": "body"}


def check_request_function(field: str, function: object) -> None:
    """Raise `WrongFunction` unless the function of a request's field can be called as the engine does."""
    value = _OF_REQUESTS[field]
    _check(field, function, (value,), f"def {field}({value})")


def _check(argument: str, function: object, places: tuple[str, ...], example: str) -> None:
    if problem := _problem(function, places, example):
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
