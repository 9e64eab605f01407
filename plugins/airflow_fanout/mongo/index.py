"""The unique index: what makes a document's key the key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING
from pymongo.errors import OperationFailure, PyMongoError

from airflow_fanout.mongo.errors import NoUniqueIndex
from airflow_fanout.mongo.explain import DUPLICATE_KEY
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.target import UNAUTHORIZED, Target, serving

if TYPE_CHECKING:
    from pymongo.collection import Collection

# CannotCreateIndex, IndexOptionsConflict, IndexKeySpecsConflict.
IN_THE_WAY = frozenset({67, 85, 86})
# Looking for the reason reads the whole collection; without one, the message is shorter.
LOOK_LIMIT_S = 30.0


def make_index(collection: Collection[Any], target: Target, key: tuple[str, ...], retrying: Retrying) -> str:
    """Make the unique index on a key's fields, unless the target has one, whatever its name; return its name.

    :param collection: the target itself, or a collection with its indexes and options.
    :raises NoUniqueIndex: when the collection's documents, or another index, stand in the way.
    """
    if (there := serving(target, key)) is not None:
        return str(there["name"])
    wanted = [(name, ASCENDING) for name in key]
    usual = "_".join(f"{field}_{ASCENDING}" for field in key)
    # An index that doesn't serve may have the name that MongoDB would give.
    name = f"{usual}_fanout" if usual in {index["name"] for index in target.indexes} else usual
    why = None
    try:
        retrying.run(lambda: collection.create_index(wanted, unique=True, name=name), timed=False)
    except OperationFailure as error:
        if error.code == DUPLICATE_KEY:
            why = _of_documents(collection, key)
        elif error.code in IN_THE_WAY:
            why = str((error.details or {}).get("errmsg", error))
        elif error.code == UNAUTHORIZED:
            why = "the user of the connection has no right to make one (createIndex)"
        else:
            raise
    if why is not None:
        raise NoUniqueIndex(retrying.collection, key, why)
    return name


def _of_documents(collection: Collection[Any], key: Sequence[str]) -> str:
    """Return why a key doesn't distinguish the documents that are there."""
    try:
        for name in key:
            without = collection.count_documents({name: None}, maxTimeMS=int(1000 * LOOK_LIMIT_S))
            if without > 1:
                return f"{without:,} of its documents have no field {name!r}: give them the field, or remove them"
        keys = {name: f"${name}" for name in key}
        several: list[dict[str, Any]] = [
            {"$group": {"_id": keys, "n": {"$sum": 1}}},
            {"$match": {"n": {"$gt": 1}}},
            {"$group": {"_id": None, "keys": {"$sum": 1}, "documents": {"$sum": "$n"}}},
        ]
        [shared] = collection.aggregate(several, allowDiskUse=True, maxTimeMS=int(1000 * LOOK_LIMIT_S))
        return f"it holds several documents with the same key: {shared['documents']:,} share {shared['keys']:,} keys"
    except (PyMongoError, ValueError):
        return "it holds several documents with the same key"
