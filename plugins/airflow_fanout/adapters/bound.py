"""What is bound to an author's function beforehand: values of Airflow's are resolved when the task runs.

`functools.partial(of, account)` in a mapped task group holds a stand-in for the account, and `partial(of, task.output)`
one for an XCom. Airflow resolves neither these nor templates inside a function, so what can't be resolved here is
refused while the DAG file is parsed: the function would get the stand-in itself, or the template as it is written.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from airflow.sdk import BaseOperator, Context, XComArg
from msgspec import Struct, structs

from airflow_fanout.errors import BadSetting

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
# A list in a list in a list …: deeper than this nobody looks.
_DEEPEST = 8
PARTIAL = "the partial's argument"

NO_TEMPLATE = (
    "a value that is known when the DAG file is parsed, because Airflow renders no template inside a function. Give "
    'the fetch the template as a value: GeventFetchOperator(values={"key": "{{ var.value.key }}"}), and its function '
    "gets it as the argument `key`. A source gets values of the run from Airflow's context: def source(params, as_of). "
    "Put a text that needs such braces into a constant of the file"
)
NO_REFERENCE = "functools.partial(function, value) for a value that Airflow resolves when the task runs"


def bind(operator: BaseOperator, field: str, function: Callable[..., Any] | None) -> None:
    """Check what is bound to a function, if there is one, and make the tasks whose XComs it holds upstream.

    :raises BadSetting: for a template, and for an unresolved value in a default, a closure, or an object.
    """
    if function is None:
        return
    for where, value in _held(function):
        resolvable = {id(part) for part in _references(value)} if where.startswith(PARTIAL) else set()
        for part in _leaves(value):
            if isinstance(part, str) and _TEMPLATE.search(part):
                raise BadSetting(f"{field}: {where}", part, NO_TEMPLATE)
            if _is_reference(part) and id(part) not in resolvable:
                raise BadSetting(f"{field}: {where}", type(part).__name__, NO_REFERENCE)
            if _is_reference(part):
                XComArg.apply_upstream_relationship(operator, part)


def waits_for_tasks(function: Any) -> bool:
    """Tell whether a function's partials hold what other tasks give, so that it can't be resolved before them."""
    return any(
        isinstance(part, XComArg) or list(part.iter_references())
        for where, value in _held(function)
        if where.startswith(PARTIAL)
        for part in _references(value)
    )


def resolved(function: Any, context: Context) -> Any:
    """Return a function whose partials hold the values that Airflow's stand-ins in them stand for."""
    if type(function) is not functools.partial:
        return function
    args = [resolved_value(value, context) for value in function.args]
    keywords = {name: resolved_value(value, context) for name, value in function.keywords.items()}
    return functools.partial(resolved(function.func, context), *args, **keywords)


def resolved_value(value: Any, context: Context) -> Any:
    """Return a value with all stand-ins in its lists and dicts replaced."""
    if _is_reference(value):
        return value.resolve(context)
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(resolved_value(part, context) for part in value)
    if type(value) is dict:
        return {name: resolved_value(part, context) for name, part in value.items()}
    return value


def _is_reference(value: Any) -> bool:
    # `XComArg` and the stand-in of a mapped task group have no other thing in common that is public.
    return not inspect.isclass(value) and hasattr(value, "iter_references") and hasattr(value, "resolve")


def _held(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a function holds, with the words for where that is."""
    if isinstance(function, functools.partial):
        yield from ((f"{PARTIAL} {place}", value) for place, value in enumerate(function.args, 1))
        yield from ((f"{PARTIAL} {name!r}", value) for name, value in function.keywords.items())
        yield from _held(function.func)
    elif inspect.ismethod(function):
        if not inspect.isclass(function.__self__):
            yield "the method's object", function.__self__
        yield from _held(function.__func__)
    elif inspect.isfunction(function):
        yield from _of_function(function)
    elif not inspect.isbuiltin(function) and not inspect.isclass(function):
        yield "the object", function


def _of_function(function: Any) -> Iterator[tuple[str, Any]]:
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(function, follow_wrapped=False).parameters.items()
        if parameter.default is not parameter.empty
    }
    yield from ((f"the default of {name!r}", value) for name, value in defaults.items())
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            # Not yet assigned.
            continue
        if inspect.isfunction(value) and value is not function:
            yield from _held(value)
        else:
            yield f"the variable {name!r}", value


def _references(value: Any) -> Iterator[Any]:
    """Yield the stand-ins that `resolved_value` replaces."""
    if _is_reference(value):
        yield value
    elif type(value) in (list, tuple, set, frozenset):
        for part in value:
            yield from _references(part)
    elif type(value) is dict:
        for part in value.values():
            yield from _references(part)


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the texts and stand-ins in a value, or in the attributes of an object that isn't Airflow's own."""
    attributes = structs.asdict(value) if isinstance(value, Struct) else getattr(value, "__dict__", None)
    is_object = isinstance(attributes, dict) and not (inspect.isclass(value) or inspect.ismodule(value))
    if is_object and not (inspect.isroutine(value) or _is_reference(value)):
        if not type(value).__module__.startswith("airflow."):
            yield from _in_collections(attributes)
        return
    yield from _in_collections(value)


def _in_collections(value: Any, depth: int = 0) -> Iterator[Any]:
    if isinstance(value, str) or _is_reference(value):
        yield value
    elif depth < _DEEPEST and isinstance(value, Mapping):
        for part in value.values():
            yield from _in_collections(part, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from _in_collections(part, depth + 1)
