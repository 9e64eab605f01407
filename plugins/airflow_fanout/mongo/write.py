"""Documents into a MongoDB collection: safe to repeat, verified by count."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import BulkWriteError, PyMongoError

from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.access import Login, access_of, address_of, known_failures, unreachable
from airflow_fanout.mongo.access import refusal as login_refusal
from airflow_fanout.mongo.batches import upsert
from airflow_fanout.mongo.documents import Encoded
from airflow_fanout.mongo.errors import BadTarget, MongoDenied, MongoFailed, WriteRefused
from airflow_fanout.mongo.explain import cause_of, refusal
from airflow_fanout.mongo.loading import Loading
from airflow_fanout.mongo.modes import Mode
from airflow_fanout.mongo.removal import replace_run
from airflow_fanout.mongo.retrying import Retrying
from airflow_fanout.mongo.swap import swap
from airflow_fanout.mongo.target import look, problems, serving
from airflow_fanout.mongo.trial import try_out
from airflow_fanout.mongo.work import LoadWork
from airflow_fanout.mongo.written import Written

if TYPE_CHECKING:
    from pymongo.collection import Collection

__all__ = ["MODES", "LoadWork", "Login", "Retrying", "Written", "write"]

# What a primary alone has confirmed is lost with it; what a single server has in memory only, with its process.
SAFE = WriteConcern("majority", j=True)
# Another program's documents may have dates that Python doesn't know.
PLAIN: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)

MODES: Mapping[Mode, Callable[[Loading], Written]] = {"upsert": upsert, "replace_run": replace_run, "swap": swap}


def write(
    collection: Collection[Any],
    documents: Encoded,
    *,
    run: str,
    mode: Mode = "upsert",
    timeout_s: float = 60.0,
    login: Login = Login(),  # noqa: B008 - it is frozen
    work: LoadWork | None = None,
) -> Written:
    """Write a run's documents in one of the modes, and count them where they were written.

    Whatever goes wrong, the error says it without a value of any document, and no other error is chained to it.

    :param run: the run's own name, the same for each try of it.
    :param timeout_s: how long MongoDB may leave one step unanswered, however often that is sent again.
    :param login: how the client has come to its MongoDB, for the messages.
    :param work: where it is said how far the load is.
    :raises BadTarget: when the collection is one that load can't write to as the report asks.
    :raises NoUniqueIndex: when the collection can't have the index that upserts rest on.
    :raises KeysMeet: when the collection can't tell two documents apart; nothing was written.
    :raises DocumentRefused: when it wouldn't take one; nothing was written.
    :raises WriteRefused: when it refuses a document for something that wasn't so before the first write.
    :raises CountMismatch: when it holds another number of the run's documents than were given.
    :raises TargetChanged: when somebody has changed the collection that `swap` is about to replace.
    :raises NewerThere: when `swap` would replace documents of a later date, and the key has no date.
    :raises SwapLost: when a newer try of the same run has taken over.
    :raises MongoDenied: when the login is refused, or lacks a right.
    :raises MongoUnreachable: when no server answers.
    :raises MongoFailed: when a server refuses the operation.
    """
    failure: FanoutError
    try:
        with _SETTLED, _unlogged():
            return _write(collection, documents, run, mode, timeout_s, login, work or LoadWork())
    except FanoutError as error:
        failure = error
    except PyMongoError as error:
        failure = _told(collection, error, login)
    # What the driver says holds whole documents, and whoever logs an error logs what it came from.
    failure.__cause__ = failure.__context__ = None
    raise failure


def _write(
    collection: Collection[Any],
    documents: Encoded,
    run: str,
    mode: Mode,
    timeout_s: float,
    login: Login,
    work: LoadWork,
) -> Written:
    safe = collection.with_options(PLAIN, ReadPreference.PRIMARY, SAFE)
    client = collection.database.client
    retrying = Retrying(
        collection.full_name,
        timeout_s,
        work=work,
        server=f"MongoDB (connection {login.conn_id!r}, {address_of(client)})",
        why=partial(known_failures, client),
        unreachable=partial(unreachable, client, login.conn_id),
    )
    work.begin("Looking at the collection")
    access = retrying.run(lambda: access_of(client, collection.database.name))
    target = look(safe, retrying.run)
    if refused := problems(target, mode=mode, key=documents.key):
        raise BadTarget(collection.full_name, tuple(refused))
    needs_index = serving(target, documents.key) is None
    for lack in access.problems(target.database, target.name, mode, needs_index=needs_index):
        raise MongoDenied(login.conn_id, lack)
    loading = Loading(collection=safe, target=target, documents=documents, run=run, retrying=retrying, work=work)
    try_out(loading, replaces=mode != "swap")
    return MODES[mode](loading)


class _Settled:
    """Lets the garbage collector pass over what was there before the first of the loads that are under way.

    A batch is thousands of objects; after each few of them it would look through all of Airflow's, which takes a
    fifth of the time of a load. The collector is the whole process's: the last load of several threads ends this.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loads = 0
        self._was_frozen = 0

    def __enter__(self) -> None:
        with self._lock:
            if not self._loads:
                self._was_frozen = gc.get_freeze_count()
                gc.freeze()
            self._loads += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._loads -= 1
            if not self._loads and not self._was_frozen:
                gc.unfreeze()


_SETTLED = _Settled()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the driver from logging its commands, as it does at the level DEBUG: they hold documents."""
    commands = logging.getLogger("pymongo.command")

    # One filter for each load: a level would be put back wrongly by loads that end in another order.
    def is_no_command(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO

    commands.addFilter(is_no_command)
    try:
        yield
    finally:
        commands.removeFilter(is_no_command)


def _told(collection: Collection[Any], error: PyMongoError, login: Login) -> FanoutError:
    """Return what the driver has raised as an error of ours."""
    name = collection.full_name
    if not isinstance(error, BulkWriteError):
        denied = login_refusal(error, collection.database.client, login.conn_id, login.auth_source)
        return denied or MongoFailed(name, type(error).__name__, cause_of(error))
    details: Mapping[str, Any] = error.details or {}
    errors = [*details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
    if not errors:
        return WriteRefused(name, 0, error.code or 0, cause_of(error))
    return WriteRefused(name, len(errors), int(errors[0]["code"]), refusal(errors[0], errors[0].get("op")))
