"""Documents into a MongoDB collection: safe to repeat, verified by count."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import BulkWriteError, PyMongoError

from airflow_fanout.documents import Encoded
from airflow_fanout.errors import MongoFailed, WriteRefused
from airflow_fanout.mongo.batches import upsert
from airflow_fanout.mongo.patience import Patience
from airflow_fanout.mongo.removal import replace_run
from airflow_fanout.mongo.swap import swap
from airflow_fanout.mongo.target import BadTarget, Target, look, problems
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

__all__ = ["MODES", "Patience", "Written", "write"]

# What a primary alone has confirmed is lost with it; what a single server has in memory only, with its process.
SAFE = WriteConcern("majority", j=True)
# Another program's documents may have dates that Python doesn't know.
PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)

Mode = Callable[["Collection[Any]", Target, Encoded, str, Patience], Written]
MODES: Mapping[str, Mode] = {"upsert": upsert, "replace_run": replace_run, "swap": swap}


def write(
    collection: Collection[Any], made: Encoded, *, run: str, mode: str = "upsert", patience_s: float = 60.0
) -> Written:
    """Write a run's documents in one of the modes.

    :param run: the run's own name, the same for each try of it.
    :param patience_s: how long MongoDB may leave one step unanswered, however often that is sent again.
    :raises CountMismatch: when MongoDB confirms another number than were given.
    :raises WriteRefused: when it refuses a document.
    :raises NoUniqueIndex: when the collection can't have the index that upserts rest on.
    :raises BadTarget: when the collection is one that load can't write to as the report asks.
    :raises SwapLost: when a newer try of the same run has taken over.
    :raises MongoFailed: when it can't be reached, or refuses the operation.
    """
    name = collection.full_name
    safe = collection.with_options(PLAIN, ReadPreference.PRIMARY, SAFE)
    patience = Patience(name, patience_s)
    try:
        target = look(safe, patience.insist)
        if found := problems(target, mode=mode, key=made.key):
            raise BadTarget(name, tuple(found))
        with _settled():
            return MODES[mode](safe, target, made, run, patience)
    except BulkWriteError as error:
        raise _refused(name, error) from error
    except PyMongoError as error:
        raise MongoFailed(name, type(error).__name__, str(error)) from error


@contextmanager
def _settled() -> Iterator[None]:
    """Let the garbage collector pass over what was there before.

    A batch is thousands of objects; after each few of them it would look through all of Airflow's, which takes a
    fifth of the time of a load.
    """
    was_frozen = gc.get_freeze_count()
    gc.freeze()
    try:
        yield
    finally:
        if not was_frozen:
            gc.unfreeze()


def _refused(name: str, error: BulkWriteError) -> WriteRefused:
    details: Mapping[str, Any] = error.details or {}
    found = [*details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
    first: Mapping[str, Any] = found[0] if found else {"code": error.code or 0, "errmsg": str(error)}
    # The server's message ends with the document's own values after "dup key:".
    message = str(first["errmsg"]).split(" dup key:")[0]
    return WriteRefused(name, len(found), int(first["code"]), message)
