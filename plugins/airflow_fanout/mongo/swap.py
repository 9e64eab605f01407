"""`swap`: a new collection, filled and verified, takes the place of the old one in one step."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from pymongo import DESCENDING
from pymongo.errors import OperationFailure, PyMongoError

from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.batches import write_all
from airflow_fanout.mongo.counting import verify
from airflow_fanout.mongo.errors import NewerThere, TargetChanged
from airflow_fanout.mongo.explain import cause_of
from airflow_fanout.mongo.index import make_index
from airflow_fanout.mongo.lease import Lease
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.target import Target, described, look
from airflow_fanout.mongo.temporary import add_indexes, create, is_own
from airflow_fanout.mongo.temporary import temporary as temporary_collection
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

NAMESPACE_NOT_FOUND = 26
INDEX_NOT_FOUND = 27
# An index is being built on one of the two collections.
BUILDING = frozenset({12586, 12587})
LOOK_AGAIN_S = 1.0

# Whoever changes one of a validator's options gets the others written out.
DEFAULTS = {"validationLevel": "strict", "validationAction": "error"}

log = logging.getLogger(__name__)


def swap(loading: Loading) -> Written:
    """Put a collection of exactly these documents in the place of the old one, in one step.

    Readers see all of the old or all of the new. The old one's indexes and options are carried over; what else
    it held is gone, whatever its date.

    :raises NewerThere: when the old one holds documents of a later run, and the key has no date.
    :raises TargetChanged: when somebody gave the old one other options meanwhile.
    """
    target, retrying = loading.target, loading.retrying
    _refuse_newer(loading)
    with temporary_collection(loading) as (temporary, lease):
        create(temporary, target.options, target.indexes, retrying)
        index = make_index(temporary, target, loading.documents.key, retrying)
        written = write_all(loading, temporary, before_each=lease.keep)
        lease.renew()
        verify(loading, temporary, index, before_each=lease.keep)
        removed = retrying.run(loading.collection.estimated_document_count)
        identity = _identity(loading, temporary)
        _rename(loading, temporary, lease)
        _verify_in_place(loading, index, identity, lease)
    return written._replace(removed=removed)


def _rename(loading: Loading, temporary: Collection[Any], lease: Lease) -> None:
    """Rename over the old collection; done when the temporary one is gone and a majority knows it.

    The answer may be lost, or the rename undone with a primary that died: so it is looked at, not believed. While
    the lease is held nobody else drops the temporary collection.
    """
    retrying, known = loading.retrying, loading.target
    while True:
        lease.renew()
        known = _follow(loading, temporary, known)
        # Another run may have swapped since.
        _refuse_newer(loading)
        lease.renew()
        loading.work.begin("Putting the new collection in place")
        if not retrying.run(partial(_rename_once, temporary, loading.collection)):
            # It takes as long as it takes; who starts an index on the target wants it there.
            loading.work.begin(f"Waiting for an index that is being built on {loading.collection.full_name}")
            with loading.work.waiting("the end of the index build", None):
                time.sleep(LOOK_AGAIN_S)
                lease.keep()
        lease.renew()
        if not retrying.run(partial(_exists, temporary)):
            return


def _refuse_newer(loading: Loading) -> None:
    """Raise `NewerThere` if the target, whose key has no date, holds documents of a later run than this one."""
    documents = loading.documents
    if (newer := documents.newer) is None:
        return
    field = documents.shape.date_field
    find_newest = partial(loading.collection.find_one, newer, {field: True}, sort=[(field, DESCENDING)])
    # No index serves it: it takes as long as it takes.
    newest = loading.retrying.run(find_newest, timed=False)
    if newest is not None:
        raise NewerThere(loading.collection.full_name, str(newest[field]), str(documents.shape.as_of))


def _rename_once(temporary: Collection[Any], collection: Collection[Any]) -> bool:
    """Rename, if that isn't done yet; return whether MongoDB let us."""
    if _exists(temporary):
        try:
            temporary.rename(collection.name, dropTarget=True)
        except OperationFailure as error:
            if error.code in BUILDING:
                return False
            if error.code != NAMESPACE_NOT_FOUND:
                raise
    return True


def _follow(loading: Loading, temporary: Collection[Any], known: Target) -> Target:
    """Do to the temporary collection what was done to the target's indexes since; return the target as it is now.

    :raises TargetChanged: when it has other options, by which the documents have not been judged.
    """
    retrying = loading.retrying
    now = look(loading.collection, retrying.run)
    if changed := _changed_options(known, now):
        raise TargetChanged(loading.collection.full_name, changed)
    # An index that was changed is gone, and another one is new.
    added = [index for index in now.indexes if not is_own(index) and index not in known.indexes]
    dropped = [index for index in known.indexes if not is_own(index) and index not in now.indexes]
    for index in dropped:
        try:
            retrying.run(partial(temporary.drop_index, index["name"]))
        except OperationFailure as error:
            if error.code != INDEX_NOT_FOUND:
                raise
    why = None
    try:
        add_indexes(temporary, added, retrying)
    except PyMongoError as error:
        why = cause_of(error)
    if why is not None:
        names = ", ".join(repr(index["name"]) for index in added)
        raise TargetChanged(
            loading.collection.full_name, f"the index {names} is new, and can't be carried over ({why})"
        )
    return now


def _changed_options(before: Target, now: Target) -> str:
    """Return in words what differs in the options of a collection, without the indexes; empty if nothing does."""
    if before.kind is not None and now.kind is None:
        return "it isn't there any more"
    # Of one that wasn't there, another load may have made a plain one.
    changes = []
    for name in sorted({*before.options, *now.options}):
        usual = DEFAULTS.get(name)
        if before.options.get(name, usual) != now.options.get(name, usual):
            verb = "removed" if name not in now.options else "changed" if name in before.options else "added"
            changes.append(f"its {name} was {verb}")
    return ", ".join(changes)


def _verify_in_place(loading: Loading, index: str, identity: Any, lease: Lease) -> None:
    """Count the documents once more where they are read from.

    A swap of another run that came later has put its own collection there, which is no fault of ours.
    """
    failure: Exception | None = None
    try:
        verify(loading, loading.collection, index, before_each=lease.keep)
    except (FanoutError, PyMongoError) as error:
        failure = error
    if failure is not None:
        if _identity(loading, loading.collection) == identity:
            raise failure
        log.info("Another load has replaced %s since; it held this run's documents.", loading.collection.full_name)


def _identity(loading: Loading, collection: Collection[Any]) -> Any:
    """Return what a collection keeps when it is renamed, and no other has."""
    description = loading.retrying.run(partial(described, collection)) or {}
    return description.get("info", {}).get("uuid")


def _exists(collection: Collection[Any]) -> bool:
    return bool(collection.database.list_collection_names(filter={"name": collection.name}))
