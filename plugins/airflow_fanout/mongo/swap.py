"""`swap`: fill a new collection, then rename it over the old one."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pymongo import ReadPreference
from pymongo.errors import OperationFailure, PyMongoError

from airflow_fanout.documents import Encoded
from airflow_fanout.errors import CountMismatch, MongoFailed, SwapLost
from airflow_fanout.mongo.batches import write_all
from airflow_fanout.mongo.index import make_index
from airflow_fanout.mongo.lease import Lease, Leases
from airflow_fanout.mongo.patience import Patience
from airflow_fanout.mongo.target import Target
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

NAMESPACE_NOT_FOUND = 26
NAMESPACE_EXISTS = 48
HASTY_S = 1.0


def swap(collection: Collection[Any], target: Target, made: Encoded, run: str, patience: Patience) -> Written:
    """Put a collection of exactly these documents in the place of the old one, in one step.

    Readers see all of the old or all of the new. The old one's indexes and options are carried over; what else
    it held is gone, whatever its date.
    """
    leases = Leases(collection, patience)
    _clear_away(collection, leases, run, patience)
    temporary = collection.database.get_collection(
        _temporary_name(collection.name, run),
        collection.codec_options,
        ReadPreference.PRIMARY,
        collection.write_concern,
    )
    lease = leases.take(temporary.name, run)
    try:
        _make_like(target, temporary, patience)
        make_index(temporary, target, made.key, patience)
        written = write_all(temporary, made, patience, before_each=lease.keep)
        _verify(temporary, made, lease, patience)
        removed = patience.insist(collection.estimated_document_count)
        _rename(temporary, collection, lease, patience)
    except BaseException as error:
        # Whatever it looked like: who has lost the lease has failed because of that.
        if _give_up(collection, temporary) and isinstance(error, Exception):
            raise SwapLost(collection.full_name) from error
        raise
    leases.forget(temporary.name)
    return written._replace(removed=removed)


def _give_up(collection: Collection[Any], temporary: Collection[Any]) -> bool:
    """Remove what there is, or leave it to the next load; return whether the lease was lost."""
    hasty = Patience(collection.full_name, HASTY_S)
    leases = Leases(collection, hasty)
    lost = False
    with suppress(PyMongoError, MongoFailed):
        lost = not leases.renew(temporary.name)
        hasty.insist(temporary.drop)
        leases.forget(temporary.name)
    return lost


def _temporary_name(name: str, run: str) -> str:
    # The end is different for each try: an older one that still runs fills a collection of its own.
    return f"{name}.fanout-{hashlib.sha256(run.encode()).hexdigest()[:12]}-{secrets.token_hex(4)}"


def _clear_away(collection: Collection[Any], leases: Leases, run: str, patience: Patience) -> None:
    """Drop the temporary collections of loads that died, and of older tries of the same run."""
    ours = {"name": {"$regex": rf"^{re.escape(collection.name)}\.fanout-[0-9a-f]{{12}}-[0-9a-f]{{8}}$"}}
    # Collections before leases: a load has its lease before its collection, so one that is found without is dead.
    found = patience.insist(lambda: collection.database.list_collection_names(filter=ours))
    for name in sorted({*found, *leases.names()}):
        if leases.end(name, run):
            patience.insist(partial(collection.database.drop_collection, name))
            leases.forget(name)


def _make_like(target: Target, temporary: Collection[Any], patience: Patience) -> None:
    """Make the temporary collection with the options and the indexes of the one that it shall replace."""
    concern = temporary.write_concern.document
    database = temporary.database

    def create() -> None:
        try:
            database.command("create", temporary.name, **target.options, writeConcern=concern)
        except OperationFailure as error:
            # Its name is nobody else's: an earlier attempt made it, and its answer was lost.
            if error.code != NAMESPACE_EXISTS:
                raise

    patience.insist(create)
    if indexes := _indexes(target):
        patience.insist(
            lambda: database.command("createIndexes", temporary.name, indexes=indexes, writeConcern=concern)
        )


def _indexes(target: Target) -> list[dict[str, Any]]:
    """Return how to make a collection's indexes, but for that on `_id`, which is there by itself."""
    own = (index for index in target.indexes if index["name"] != "_id_" and not index.get("clustered"))
    return [_specification(index) for index in own]


def _specification(index: Mapping[str, Any]) -> dict[str, Any]:
    # One without a collation would get the collection's, which it doesn't have.
    return {"collation": {"locale": "simple"}, **{name: value for name, value in index.items() if name != "ns"}}


def _verify(temporary: Collection[Any], made: Encoded, lease: Lease, patience: Patience) -> None:
    lease.renew()
    held = patience.insist(lambda: temporary.count_documents({}), timed=False)
    if held != made.count:
        raise CountMismatch(temporary.full_name, made.count, held)


def _rename(temporary: Collection[Any], collection: Collection[Any], lease: Lease, patience: Patience) -> None:
    """Rename over the old collection; done when the temporary one is gone and a majority knows it.

    The answer may be lost, or the rename undone with a primary that died: so it is looked at, not believed. While
    the lease is held nobody else drops the temporary collection.
    """
    while True:
        lease.renew()
        patience.insist(lambda: _rename_once(temporary, collection))
        lease.renew()
        if not patience.insist(lambda: _exists(temporary)):
            return


def _rename_once(temporary: Collection[Any], collection: Collection[Any]) -> None:
    if _exists(temporary):
        try:
            temporary.rename(collection.name, dropTarget=True)
        except OperationFailure as error:
            if error.code != NAMESPACE_NOT_FOUND:
                raise


def _exists(collection: Collection[Any]) -> bool:
    return bool(collection.database.list_collection_names(filter={"name": collection.name}))
