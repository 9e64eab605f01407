"""A function of the author's that gives the parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.functions import describe, inner, is_async

if TYPE_CHECKING:
    from airflow_fanout.sources.source import SourceContext


class FunctionSource:
    """A function that returns the parameters, or is a generator of them; its arguments are values of the run.

    :raises BadSetting: for an async function.
    """

    templates: Sequence[Any] = ()

    def __init__(self, function: Callable[..., Iterable[Any]]) -> None:
        if is_async(inner(function)):
            raise BadSetting("source", function, "a plain function or generator (`def`): nothing awaits an async one")
        self.function = function

    def describe(self) -> str:
        """Return what the source is called, as the beginning of a sentence."""
        return f"The source {describe(self.function)}"

    def dataset(self) -> None:
        """Return that nothing is read that has a name."""

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:
        """Find nothing: what a function would do is known when it is called."""

    def open(self, access: SourceContext, *, names: Sequence[str]) -> FunctionItems:  # noqa: ARG002 - for sources with pages
        """Call the function with those values that its arguments name, and return its items.

        :raises BadSetting: when it returns something else than items.
        """
        function, values = access.resolve(self.function), access.values
        arguments = inspect.signature(function).parameters.values()
        if not any(argument.kind is argument.VAR_KEYWORD for argument in arguments):
            wanted = {argument.name for argument in arguments}
            values = {name: value for name, value in values.items() if name in wanted}
        items = function(**values)
        if isinstance(items, str | bytes | dict) or not isinstance(items, Iterable):
            named = f"what {describe(function)} returned"
            raise BadSetting(named, type(items).__name__, "a list, or the values of a generator")
        return FunctionItems(items)


class FunctionItems:
    """What a function gives; there are no pages, and nobody knows what it waits for."""

    pages: int | None = None
    ended: str | None = None
    doing: tuple[str, float] | None = None

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def close(self) -> None:
        """Close nothing: what the function has opened is its own."""
