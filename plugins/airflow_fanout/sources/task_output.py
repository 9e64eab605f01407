"""A list of parameters that another task has returned."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.stream import Stream
from airflow_fanout.sources.values import BadItem, to_json

if TYPE_CHECKING:
    from airflow_fanout.sources.source import SourceContext

EXPECTED = "a source takes a list: of parameters, or of rows"


class TaskOutput:
    """What another task has returned: a list of parameters, or of rows such as those of a query.

    :param output: Airflow's stand-in for it.
    """

    function = None

    def __init__(self, output: Any) -> None:
        self._output = output
        self.templates: Sequence[Any] = (output,)

    def __str__(self) -> str:
        operator = getattr(self._output, "operator", None)
        task_id = getattr(operator, "task_id", None)
        return f"the output of the task {task_id!r}" if task_id else "the output of another task"

    def describe(self) -> str:
        """Return what the source is called, as the beginning of a sentence."""
        return str(self)

    def dataset(self) -> None:
        """Return that nothing is read that has a name."""

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:  # noqa: ARG002 - items have what they have
        """Look whether the task has returned a list; raise `UnusableList` if not."""
        self._items(access)

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Stream:  # noqa: ARG002 - items have what they have
        """Return the items of the list."""
        return Stream(lambda _: self._read(access))

    def _read(self, access: SourceContext) -> Generator[Any]:
        for number, item in enumerate(self._items(access), 1):
            try:
                parameter = to_json(item)
            except BadItem as error:
                raise UnusableList(str(self), f"item {number:,}: it has {error}") from None
            yield parameter

    def _items(self, access: SourceContext) -> Iterable[Any]:
        items = access.render(self._output)
        if items is None:
            why = "it has returned nothing: it was skipped, hasn't run in this run, or its do_xcom_push is False"
            raise UnusableList(str(self), why)
        # A mapped task's output isn't a list, but gives the values one by one.
        if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
            raise UnusableList(str(self), f"it is of type {type(items).__name__}, and {EXPECTED}")
        return items
