"""What a source of parameters is: a function, a list of an API, a query, a file, …, behind one protocol."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared

if TYPE_CHECKING:
    from airflow_fanout.api.login import ApiLogin


class Resource(NamedTuple):
    """Where an API's list is: an Airflow connection, and the path below its address as the author wrote it."""

    http_conn_id: str
    endpoint: str


class QueriedTables(NamedTuple):
    """What a query reads: an Airflow connection, and the query as the author wrote it."""

    conn_id: str
    sql: str


class StoredCollection(NamedTuple):
    """A collection of a MongoDB, by the names that the author wrote."""

    mongo_conn_id: str
    database: str
    collection: str


class StoredFile(NamedTuple):
    """A file: its path or its address, as the author wrote it."""

    path: str


Data = Resource | QueriedTables | StoredCollection | StoredFile


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


class DocumentSource(Protocol):
    """What finds documents in a MongoDB."""

    def check(self, database: str, collection: str, query: Mapping[str, Any]) -> None:
        """Raise `FanoutError` if these documents can't be found."""

    def find(
        self,
        database: str,
        collection: str,
        query: Mapping[str, Any],
        *,
        paths: Sequence[str],
        sort: Sequence[tuple[str, int]],
        batch_size: int,
    ) -> Generator[Mapping[str, Any]]:
        """Yield documents, with these paths or whole, as they come."""


class Database(NamedTuple):
    """A database behind a driver of DB-API 2.0 (PEP 249).

    :param connect: makes a new connection.
    :param placeholder: what stands for a value in a query, such as "%s" or "?".
    :param dialect: the name of its SQL, such as "postgresql".
    """

    connect: Callable[[], Any]
    placeholder: str
    dialect: str


class Turns(Protocol):
    """What lets the requests of a list through, one by one."""

    def wait(self) -> None:
        """Wait until the next request may be sent."""

    def paused(self, pause_s: float) -> None:
        """Note that the API has asked that nobody sends for so long, in seconds."""

    def close(self) -> None:
        """Need no further turn."""


class SourceContext(Protocol):
    """What a source gets of the task that reads it."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values that a function may take as arguments, by name."""

    def resolve(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function with what stands in its partials for later values replaced."""

    def render(self, value: Any) -> Any:
        """Return a value with its templates rendered."""

    def login(self, conn_id: str) -> ApiLogin:
        """Return how to log in as an Airflow connection says; raise `BadConnection` if it can't be used."""

    def turns(self, conn_id: str) -> Turns | None:
        """Return what lets each request of a list through, if the API of a connection has a request budget."""

    def documents(self, conn_id: str) -> AbstractContextManager[DocumentSource]:
        """Return what finds documents in the MongoDB of an Airflow connection, until it is left."""

    def database(self, conn_id: str) -> Database:
        """Return the database of an Airflow connection; raise `BadConnection` if it is none."""

    def file(self, path: str, conn_id: str | None) -> IO[bytes]:
        """Open a file, or an object of an object storage; raise `OSError` if it can't be opened."""


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

    def dataset(self) -> Data | None:
        """Return what is read, `None` if it has no name."""

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:
        """Look for what can be known to be wrong before the first item is read; raise `FanoutError` for it."""

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Items:
        """Return the items, of which none is read yet.

        :param names: the fields by which an item is known.
        """


class ListSource(Declared, frozen=True):
    """A source that an author declares, with fields; it has no function of the author's."""

    @property
    def function(self) -> None:
        """The author's function: none."""

    @property
    def templates(self) -> Sequence[Any]:
        """The values in which templates are rendered when the source is read."""
        return ()

    @property
    def started_by(self) -> str | None:
        """The name of the asset whose events have to start the run; `None` if anything may."""
        return None

    def describe(self) -> str:
        """Return what the source is called, as the beginning of a sentence."""
        return str(self)


def to_source(source: object) -> Source:
    """Return the source that an author has given.

    :raises BadSetting: for what is no source, and for an async function.
    """
    if isinstance(source, ListSource):
        return cast("Source", source)
    # Each of the others is loaded by the DAG file that has one.
    if hasattr(source, "iter_references"):
        from airflow_fanout.sources.task_output import TaskOutput

        return TaskOutput(source)
    if callable(source):
        from airflow_fanout.sources.function import FunctionSource

        return FunctionSource(source)
    lists = "HttpList, SqlList, MongoList, FileList, AssetEvents"
    raise BadSetting("source", source, f"a callable that gives the parameters, another task's output, or a {lists}")
