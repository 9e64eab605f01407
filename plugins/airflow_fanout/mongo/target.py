"""What load finds before it writes: the collection, its options and its indexes, and what of it can't work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace
from pymongo.errors import OperationFailure

from airflow_fanout.mongo.namespaces import name_problems, namespace_problem

if TYPE_CHECKING:
    from pymongo.collection import Collection

UNAUTHORIZED = 13
# An index with one of these doesn't hold, or doesn't find, all documents.
NOT_ALL = ("partialFilterExpression", "sparse", "hidden")

Index = Mapping[str, Any]
RunStep = Callable[[Callable[[], Any]], Any]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as MongoDB describes it.

    :param kind: "collection", "view" or "timeseries"; `None` if it isn't there yet.
    :param options: those that it was made with, and its validator; empty, too, if the user may not read them.
    :param indexes: as `listIndexes` gives them, that on `_id` included.
    :param shard_key: the fields by which it is sharded; `None` if it isn't, or if the user may not know.
    :param twin: another database's name that differs in case only; MongoDB allows one of the two.
    """

    database: str
    name: str
    kind: str | None = None
    options: Mapping[str, Any] = {}
    indexes: Sequence[Index] = ()
    shard_key: tuple[str, ...] | None = None
    twin: str | None = None

    @property
    def full_name(self) -> str:
        """Database and collection."""
        return f"{self.database}.{self.name}"

    @property
    def collation(self) -> Mapping[str, Any] | None:
        """The collation of whatever names none of its own; `None` if texts are compared byte by byte."""
        return dict(self.options["collation"]) if self.options.get("collation") else None


def look(collection: Collection[Any], run_step: RunStep) -> Target:
    """Return what MongoDB says of a collection, as far as the user may know it.

    :param run_step: runs a step, and repeats it while a retry can help.
    """
    target = Target(database=collection.database.name, name=collection.name)
    description = run_step(partial(described, collection))
    if description is None:
        return replace(target, twin=run_step(partial(_twin, collection)))
    if description["type"] != "collection":
        return replace(target, kind=description["type"])
    return replace(
        target,
        kind="collection",
        options=description.get("options", {}),
        indexes=run_step(lambda: [dict(index) for index in collection.list_indexes()]),
        shard_key=run_step(partial(_shard_key, collection)),
    )


def described(collection: Collection[Any]) -> Mapping[str, Any] | None:
    """Return what `listCollections` says of a collection; `None` if it isn't there."""
    mine = {"name": collection.name}
    try:
        listed = list(collection.database.list_collections(filter=mine))
    except OperationFailure as error:
        if error.code != UNAUTHORIZED:
            raise
        # A user of this collection alone may know its name and its kind.
        named: dict[str, Any] = {"nameOnly": True, "authorizedCollections": True}
        listed = [each for each in collection.database.list_collections(**named) if each["name"] == collection.name]
    return listed[0] if listed else None


def _twin(collection: Collection[Any]) -> str | None:
    with suppress(OperationFailure):
        wanted = collection.database.name
        names = (str(database["name"]) for database in collection.database.client.list_databases(nameOnly=True))
        return next((name for name in names if name != wanted and name.lower() == wanted.lower()), None)
    return None


def _shard_key(collection: Collection[Any]) -> tuple[str, ...] | None:
    client = collection.database.client
    with suppress(OperationFailure):
        if client.admin.command("hello").get("msg") == "isdbgrid":
            sharded = client.config.collections.find_one({"_id": collection.full_name, "dropped": {"$ne": True}})
            return tuple(sharded["key"]) if sharded and "key" in sharded else None
    return None


def problems(target: Target, *, mode: str, key: Sequence[str]) -> list[str]:
    """Return all that keeps load from writing to a collection, in words; none if it can.

    :param mode: "upsert", "replace_run" or "swap".
    :param key: the fields that find one document of the collection, the date first.
    """
    named = name_problems(target.database, target.name)
    if named:
        return named
    return [*_of_name_and_kind(target, mode), *_of_options(target, mode, key), *_of_indexes(target, key)]


def _of_name_and_kind(target: Target, mode: str) -> Iterator[str]:
    if too_long := namespace_problem(target.database, target.name, temporary=mode == "swap"):
        yield too_long
    if target.twin:
        yield f"the server has a database {target.twin!r}, and MongoDB allows no other that differs in case only"
    if target.kind == "view":
        yield "it is a view, and nothing can be written to a view: name the collection that the view is of"
    elif target.kind == "timeseries":
        yield "it is a time series, where no document can be replaced: load into a plain collection"
    elif target.options.get("capped"):
        yield "it is a capped collection, which forgets its oldest documents: load into a plain collection"


def _of_options(target: Target, mode: str, key: Sequence[str]) -> Iterator[str]:
    encrypted = {str(field["path"]) for field in target.options.get("encryptedFields", {}).get("fields", ())}
    if locked := sorted(encrypted.intersection(key)):
        yield f"its field {locked[0]!r} is encrypted and can't be part of the key"
    if encrypted and mode == "swap":
        yield 'it has encrypted fields, and mode="swap" can\'t rename over such a collection: choose another mode'
    if target.shard_key is None:
        return
    if mode == "swap":
        yield 'it is sharded, and mode="swap" can\'t rename over a sharded collection: choose another mode'
    elif missing := [name for name in target.shard_key if name not in key]:
        yield (
            f"it is sharded by {' + '.join(target.shard_key)}, and a unique index there needs all of these fields: "
            f"{missing[0]!r} isn't in the key ({' + '.join(key)})"
        )


def _of_indexes(target: Target, key: Sequence[str]) -> Iterator[str]:
    if serving(target, key) is not None:
        return
    for index in target.indexes:
        if not _is_like(target, index, key) or index.get("sparse") or index.get("partialFilterExpression"):
            continue
        if index.get("hidden"):
            yield f"its index {index['name']!r} is hidden, so load can't find documents by it: unhide it, or drop it"
        else:
            yield (
                f"its index {index['name']!r} on {' + '.join(key)} isn't unique, and load needs a unique one there: "
                "drop that index, and load makes its own"
            )


def serving(target: Target, key: Sequence[str]) -> Index | None:
    """Return the unique index that keeps a key's documents apart, by the rules by which they are found."""
    for index in target.indexes:
        is_whole = not any(index.get(option) for option in NOT_ALL)
        if index.get("unique") and is_whole and _is_like(target, index, key):
            return index
    return None


def _is_like(target: Target, index: Index, key: Sequence[str]) -> bool:
    return keys_of(index) == [(name, 1) for name in key] and collation_of(index) == target.collation


def keys_of(index: Index) -> list[tuple[str, Any]]:
    """Return the fields of an index with their directions."""
    return list(index["key"].items())


def collation_of(index: Index) -> Mapping[str, Any] | None:
    """Return an index's collation; `None` if it compares texts byte by byte."""
    return dict(index["collation"]) if index.get("collation") else None
