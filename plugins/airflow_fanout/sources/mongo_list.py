"""A list of parameters that is in a MongoDB: what a find gives."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_fanout.errors import BadSetting
from airflow_fanout.model.settings import check_whole
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.fields import DocumentReader, Fields, Wanted, check_fields_wanted, wanted
from airflow_fanout.sources.source import ListSource, StoredCollection
from airflow_fanout.sources.stream import Stream
from airflow_fanout.sources.values import BadItem

if TYPE_CHECKING:
    from airflow_fanout.sources.source import SourceContext

Sort = Sequence[tuple[str, int]]


class MongoList(ListSource, frozen=True, kw_only=True):
    """A list of parameters that a find in a MongoDB gives, through Airflow's `MongoHook`: each document is one.

    :param database: an Airflow template, as `collection` is.
    :param filter: MongoDB's filter; an Airflow template. What JSON lacks may be written as MongoDB's Extended JSON:
        `{"since": {"$gte": {"$date": "{{ data_interval_start }}"}}}`.
    :param fields: the fields of a parameter; or by their names where each is: `{"customer": "_id", "zip":
        "address.zip"}`. Only these are read. The whole document, if neither this nor the report's `names` is given.
    :param nullable: the fields that may be null or missing.
    :param sort: fields, each with 1 (ascending) or -1 (descending); without it, MongoDB's own order.
    :param mongo_conn_id: the Airflow connection of the MongoDB.
    :param batch_size: how many documents MongoDB sends at once.
    """

    database: str
    collection: str
    filter: Mapping[str, Any] = {}
    fields: Fields = ()
    nullable: Sequence[str] = ()
    sort: Sort = ()
    mongo_conn_id: str = "mongo_default"
    batch_size: int = 2_000

    def __post_init__(self) -> None:
        for name in ("database", "collection", "mongo_conn_id"):
            if not isinstance(text := getattr(self, name), str) or not text.strip():
                raise BadSetting(name, text, "a name, as a text")
        if not isinstance(self.filter, Mapping):
            raise BadSetting("filter", type(self.filter).__name__, "a dict, as MongoDB's find takes it")
        check_fields_wanted(self.fields, self.nullable)
        _check_sort(self.sort)
        check_whole("batch_size", self.batch_size)

    def __str__(self) -> str:
        return f"the collection {self.database}.{self.collection} ({self.mongo_conn_id})"

    @property
    def templates(self) -> Sequence[Any]:
        """The values in which templates are rendered when the collection is read."""
        return (self.database, self.collection, dict(self.filter))

    def dataset(self) -> StoredCollection:
        """Return the collection that is read."""
        return StoredCollection(self.mongo_conn_id, self.database, self.collection)

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:  # noqa: ARG002 - documents may differ
        """Look whether the collection is there, and whether its MongoDB would run the find.

        :raises FanoutError: if not.
        """
        rendered = self._rendered(access)
        with access.documents(rendered.mongo_conn_id) as documents:
            documents.check(rendered.database, rendered.collection, rendered.filter)

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Stream:
        """Return the documents of the find, which isn't run yet."""
        return Stream(lambda stream: self._read(access, wanted(self.fields, self.nullable, names), stream))

    def _read(self, access: SourceContext, fields: Wanted, stream: Stream) -> Generator[Any]:
        rendered = self._rendered(access)
        reader = DocumentReader(fields)
        stream.now("waiting for MongoDB")
        with access.documents(rendered.mongo_conn_id) as documents:
            find = documents.find(
                rendered.database,
                rendered.collection,
                rendered.filter,
                paths=tuple(fields.places.values()),
                sort=rendered.sort,
                batch_size=rendered.batch_size,
            )
            # A list that is left early has to end its cursor while the client is there.
            with closing(find):
                for number, document in enumerate(find, 1):
                    try:
                        parameter = reader.parameter(document)
                    except BadItem as error:
                        raise UnusableList(str(rendered), f"document {number:,} of the find: {error}") from None
                    yield parameter

    def _rendered(self, access: SourceContext) -> MongoList:
        names = {name: access.render(getattr(self, name)) for name in ("database", "collection")}
        return replace(self, filter=access.render(dict(self.filter)), **names)


def _check_sort(sort: Any) -> None:
    expected = 'fields with their directions, such as (("customer", 1),); 1 is ascending, -1 is descending'
    if not isinstance(sort, list | tuple):
        raise BadSetting("sort", sort, expected)
    for term in sort:
        is_pair = isinstance(term, list | tuple) and len(term) == 2
        if not is_pair or not isinstance(term[0], str) or term[1] not in (1, -1):
            raise BadSetting("sort", term, expected)
