"""What a source of parameters is: a function or an HTTP list, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_fanout.errors import BadSetting

if TYPE_CHECKING:
    from airflow_fanout.api.endpoint import Endpoint


class Resource(NamedTuple):
    """Where an API's list is: an Airflow connection, and the path below its address as the author wrote it."""

    http_conn_id: str
    endpoint: str


class Items(Protocol):
    """The items of a source, as they come, and how far the reading is."""

    @property
    def pages(self) -> int | None:
        """How many pages were read; `None` for a source without pages."""

    @property
    def ended(self) -> str | None:
        """Why there is no further page; `None` before the end, and for a source without pages."""

    @property
    def doing(self) -> tuple[str, float] | None:
        """What is being waited for, and since when on the monotonic clock; `None` if the source doesn't say."""

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> None:
        """Close what is open; nothing is read after that."""


class SourceContext(Protocol):
    """What a source gets of the task that reads it."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values that a function may take as arguments, by name."""

    def resolve(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with what stands in its partials for later values replaced."""

    def render(self, value: Any) -> Any:
        """Return a value with its templates rendered."""

    def endpoint(self, conn_id: str) -> Endpoint:
        """Return what an Airflow connection leads to; raise `BadConnection` if it can't be used."""


class Source(Protocol):
    """Where a report's parameters come from."""

    @property
    def function(self) -> Callable[..., Any] | None:
        """The author's function, whose partials may hold stand-ins for later values."""

    @property
    def templates(self) -> Sequence[Any]:
        """The values in which templates are rendered when the source is read."""

    def describe(self) -> str:
        """Return what the source is called, as the beginning of a sentence."""

    def dataset(self) -> Resource | None:
        """Return the API's list that is read, `None` if it is no API's."""

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Items:
        """Return the items, of which none is read yet.

        :param names: the fields by which an item is known.
        """


def to_source(source: object) -> Source:
    """Return the source that an author has given: a function or an `HttpList`.

    :raises BadSetting: for anything else, and for an async function.
    """
    if callable(source):
        from airflow_fanout.sources.function import FunctionSource

        return FunctionSource(source)
    # A DAG file that doesn't name one hasn't loaded it.
    from airflow_fanout.sources.http_list import HttpList

    if isinstance(source, HttpList):
        return source
    raise BadSetting("source", source, "a callable that gives the parameters, or an HttpList")
