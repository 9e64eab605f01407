"""Finds documents in a collection, a limited number at a time, with values of Python's own types."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymongo
from bson import json_util
from bson.binary import UuidRepresentation
from bson.codec_options import CodecOptions, DatetimeConversion, TypeDecoder, TypeRegistry
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.objectid import ObjectId
from pymongo.errors import OperationFailure, PyMongoError

from airflow_fanout.mongo.access import refusal
from airflow_fanout.mongo.errors import FindFailed, FindRefused
from airflow_fanout.mongo.explain import cause_of

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

# How long MongoDB may take to say whether it would run a find.
CHECK_S = 10.0


class _IdsAsTexts(TypeDecoder):
    bson_type = ObjectId

    def transform_bson(self, value: ObjectId) -> str:
        return str(value)


class _Decimals(TypeDecoder):
    bson_type = Decimal128

    def transform_bson(self, value: Decimal128) -> Any:
        return value.to_decimal()


OPTIONS: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    type_registry=TypeRegistry([_IdsAsTexts(), _Decimals()]),
    # A date that Python can't hold is an error of its document, not of the whole batch.
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)


class DocumentFinder:
    """Finds documents with the client of a connection.

    :param auth_source: the database where MongoDB looks for the user.
    """

    def __init__(self, client: MongoClient[Any], conn_id: str, auth_source: str) -> None:
        self._client = client
        self._conn_id = conn_id
        self._auth_source = auth_source
        self._count = 0

    def check(self, database: str, collection: str, query: Mapping[str, Any]) -> None:
        """Ask MongoDB whether the collection is there, and how it would find these documents.

        :raises FindRefused: if it isn't there, or MongoDB would not run the find.
        :raises MongoUnreachable: when it doesn't answer.
        :raises MongoDenied: when it refuses the login.
        """
        name = f"{database}.{collection}"
        with self._explained(name), pymongo.timeout(CHECK_S):
            there = self._client.get_database(database)
            find = {"find": collection, "filter": extended(query)}
            there.command("explain", find, verbosity="queryPlanner")
            names = there.list_collection_names(authorizedCollections=True, nameOnly=True)
        # Who may not list the collections still sees those that it may read.
        if collection not in names:
            raise FindRefused(name, "there is no such collection, or the connection's user may not see it")

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
        """Yield the documents that meet a query, as they come.

        :param paths: the dotted paths of the fields that are read; the whole documents, if there are none.
        :raises FindRefused: when MongoDB doesn't run the find, or a document can't be read.
        :raises FindFailed: when it has lost the cursor.
        :raises MongoUnreachable: when it doesn't answer.
        :raises MongoDenied: when it refuses the login.
        """
        name = f"{database}.{collection}"
        with self._explained(name):
            documents: Collection[dict[str, Any]] = self._client.get_database(database).get_collection(
                collection, codec_options=OPTIONS
            )
            cursor = documents.find(
                extended(query),
                projection=_projection(paths),
                sort=list(sort) or None,
                batch_size=batch_size,
                allow_disk_use=bool(sort) or None,
            )
        with cursor:
            while True:
                with self._explained(name):
                    document = next(cursor, None)
                if document is None:
                    return
                self._count += 1
                yield document

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        after = f"after document {self._count:,}: " if self._count else ""
        try:
            yield
        except PyMongoError as error:
            if reason := refusal(error, self._client, self._conn_id, self._auth_source):
                raise reason from None
            # What the server refuses, it refuses again; a cursor that was lost is no such thing.
            kind = FindFailed if after and isinstance(error, OperationFailure) else FindRefused
            raise kind(name, f"{after}{cause_of(error)}") from None
        except BSONError as error:
            raise FindRefused(name, f"{after}a document can't be read ({type(error).__name__})") from None
        except _BadFilter as error:
            raise FindRefused(name, f"`filter`: {error}") from None


class _BadFilter(ValueError):
    """A filter that isn't written as MongoDB's Extended JSON."""


def extended(query: Any) -> Any:
    """Return a filter with its Extended JSON read: `{"$date": …}` is a moment, `{"$oid": …}` an ObjectId.

    https://www.mongodb.com/docs/manual/reference/mongodb-extended-json/
    """
    if isinstance(query, Mapping):
        values = {name: extended(value) for name, value in query.items()}
        try:
            return json_util.object_hook(values, json_util.CANONICAL_JSON_OPTIONS)
        except (TypeError, ValueError, BSONError) as error:
            raise _BadFilter(f"{', '.join(values)} can't be read as Extended JSON ({type(error).__name__})") from None
    if isinstance(query, list | tuple):
        return [extended(value) for value in query]
    return query


def _projection(paths: Sequence[str]) -> dict[str, int] | None:
    if not paths:
        return None
    # A field and a field inside of it collide; the outer one has both.
    outer = [path for path in paths if not any(path.startswith(f"{other}.") for other in paths)]
    return {"_id": 0, **dict.fromkeys(outer, 1)}
