"""The unique index: what makes a document's key the key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING
from pymongo.errors import OperationFailure

from airflow_fanout.errors import NoUniqueIndex
from airflow_fanout.mongo.patience import DUPLICATE_KEY, Patience

if TYPE_CHECKING:
    from pymongo.collection import Collection

# CannotCreateIndex, IndexOptionsConflict, IndexKeySpecsConflict.
IN_THE_WAY = frozenset({67, 85, 86})


def make_index(collection: Collection[Any], key: tuple[str, ...], patience: Patience) -> None:
    """Make the unique index on a key's fields, unless there is one, whatever its name.

    :raises NoUniqueIndex: when the collection's documents, or another index, stand in the way.
    """
    wanted = [(name, ASCENDING) for name in key]
    present = patience.insist(collection.index_information)
    if any(_serves(index, wanted) for index in present.values()):
        return
    try:
        patience.insist(lambda: collection.create_index(wanted, unique=True), timed=False)
    except OperationFailure as error:
        if error.code == DUPLICATE_KEY:
            raise NoUniqueIndex(patience.collection, key, "it holds several documents with the same key") from error
        if error.code in IN_THE_WAY:
            said = str((error.details or {}).get("errmsg", error))
            raise NoUniqueIndex(patience.collection, key, said) from error
        raise


def _serves(index: Mapping[str, Any], wanted: list[tuple[str, int]]) -> bool:
    partial = {"partialFilterExpression", "sparse", "hidden"} & index.keys()
    return bool(index.get("unique")) and not partial and list(index["key"]) == wanted
