"""Temporary collections: made like the target, filled by one load, and cleared away whatever becomes of that."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pymongo.errors import OperationFailure, PyMongoError

from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.errors import SwapLost
from airflow_fanout.mongo.lease import Lease, Leases
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.target import Index

if TYPE_CHECKING:
    from pymongo.collection import Collection

NAMESPACE_EXISTS = 48
HASTY_S = 1.0


@contextmanager
def temporary(loading: Loading) -> Iterator[tuple[Collection[Any], Lease]]:
    """Give a name for a temporary collection, with its lease; at the end it is gone, unless it has been renamed.

    :raises SwapLost: when a newer try of the same run has taken it away.
    """
    collection, retrying = loading.collection, loading.retrying
    leases = Leases(collection, retrying)
    _clear_away(loading, leases)
    # The end is different for each try: an older one that still runs fills a collection of its own.
    of_run = hashlib.sha256(loading.run.encode()).hexdigest()[:12]
    name = f"{collection.name}.fanout-{of_run}-{secrets.token_hex(4)}"
    created = collection.database.get_collection(
        name, collection.codec_options, collection.read_preference, collection.write_concern, collection.read_concern
    )
    lease = leases.take(name, loading.run)
    try:
        yield created, lease
        retrying.run(created.drop)
        leases.forget(name)
    except BaseException as error:
        # Whatever it looked like: who has lost the lease has failed because of that.
        if not _give_up(loading, created) or not isinstance(error, Exception):
            raise
    else:
        return
    raise SwapLost(collection.full_name)


def _give_up(loading: Loading, created: Collection[Any]) -> bool:
    """Remove what there is, or leave it to the next load; return whether the lease was lost."""
    hasty = Retrying(loading.retrying.collection, HASTY_S)
    leases = Leases(loading.collection, hasty)
    lost = False
    with suppress(PyMongoError, FanoutError):
        lost = not leases.renew(created.name)
        hasty.run(created.drop)
        leases.forget(created.name)
    return lost


def _clear_away(loading: Loading, leases: Leases) -> None:
    """Drop the temporary collections of loads that died, and of older tries of the same run."""
    collection, retrying = loading.collection, loading.retrying
    ours = {"name": {"$regex": rf"^{re.escape(collection.name)}\.fanout-[0-9a-f]{{12}}-[0-9a-f]{{8}}$"}}
    # Collections before leases: a load has its lease before its collection, so one that is found without is dead.
    names = retrying.run(lambda: collection.database.list_collection_names(filter=ours))
    for name in sorted({*names, *leases.names()}):
        if leases.end(name, loading.run):
            retrying.run(partial(collection.database.drop_collection, name))
            leases.forget(name)


def create(
    collection: Collection[Any], options: Mapping[str, Any], indexes: Sequence[Index], retrying: Retrying
) -> None:
    """Make a collection with these options and indexes; made before already, it stays as it is."""
    concern = collection.write_concern.document
    try:
        retrying.run(lambda: collection.database.command("create", collection.name, **options, writeConcern=concern))
    except OperationFailure as error:
        # Its name is nobody else's: an earlier attempt made it, and its answer was lost.
        if error.code != NAMESPACE_EXISTS:
            raise
    add_indexes(collection, indexes, retrying)


def add_indexes(collection: Collection[Any], indexes: Sequence[Index], retrying: Retrying) -> None:
    """Make indexes, but for that on `_id`, which is there by itself."""
    # One without a collation would get the collection's, which it doesn't have.
    default = {"collation": {"locale": "simple"}}
    wanted = [
        {**default, **{name: value for name, value in index.items() if name != "ns"}}
        for index in indexes
        if not is_own(index)
    ]
    concern = collection.write_concern.document
    if wanted:
        retrying.run(
            lambda: collection.database.command("createIndexes", collection.name, indexes=wanted, writeConcern=concern),
            timed=False,
        )


def is_own(index: Index) -> bool:
    """Tell whether an index is made by MongoDB itself, with the collection."""
    return index["name"] == "_id_" or bool(index.get("clustered"))
