"""How long MongoDB may be away in the middle of a load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, TypeVar

import pymongo
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.errors import MongoFailed
from airflow_fanout.mongo.explain import DUPLICATE_KEY, cause_of
from airflow_fanout.mongo.work import LoadWork

Answer = TypeVar("Answer")

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

# The retryable errors of https://github.com/mongodb/specifications, retryable-writes, and those of a limit in time
# (50, 64, 262): a primary that steps down, a member that shuts down or recovers, a majority that is late.
PASSING = frozenset({6, 7, 50, 64, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})
# After a connection that could not be opened, PyMongo 4.20 sends its next write to a single server as if that were a
# member of a replica set. The server refuses, nothing is written, and the driver knows better the next time.
ILLEGAL_OPERATION = 20
MISTAKEN = "Transaction numbers are only allowed on a replica set"


class Retrying:
    """Repeats a step until MongoDB answers it, for a limited time.

    The steps of a load may all be done twice. The time counts again for each step, so it is a limit for an outage
    and not for the load; a step that gets no answer at all is given up by it, too.

    :param collection: the target's full name.
    :param work: where it is noted what MongoDB hasn't answered yet.
    :param server: what the MongoDB is called.
    :param why: returns why no server answers, as far as the driver knows.
    :param unreachable: makes the error of a server that didn't answer in time, of the driver's error.
    """

    def __init__(
        self,
        collection: str,
        limit_s: float,
        *,
        work: LoadWork | None = None,
        server: str = "MongoDB",
        why: Callable[[], str] = str,
        unreachable: Callable[[PyMongoError, float], FanoutError] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.collection = collection
        self.limit_s = limit_s
        self.work = work or LoadWork(clock=clock)
        self.server = server
        self._why = why
        self._unreachable = unreachable
        self._clock = clock
        self._sleep = sleep

    def run(self, step: Callable[[], Answer], *, timed: bool = True) -> Answer:
        """Return a step's answer.

        :param timed: whether the step itself has to be answered in time. Building an index and counting take as
            long as they take; only their repetition is limited.
        :raises MongoUnreachable: when no server answers, and the time is over.
        :raises MongoFailed: when the time is over, and a server answers with a passing error.
        """
        last: list[str] = []

        def why() -> str:
            return self._why() or "".join(last[-1:])

        with self.work.waiting(self.server, self.limit_s if timed else None, why):
            return self._repeat(step, last, timed=timed)

    def _repeat(self, step: Callable[[], Answer], causes: list[str], *, timed: bool) -> Answer:
        deadline = self._clock() + self.limit_s
        pause = FIRST_PAUSE_S
        while True:
            begun = self._clock()
            try:
                with pymongo.timeout(deadline - begun) if timed else nullcontext():
                    return step()
            except PyMongoError as error:
                if not passes(error):
                    raise
                # A step without a limit may have been at work for long: its outage begins when it is broken off.
                was_at_work = not timed and not isinstance(error, ServerSelectionTimeoutError)
                if was_at_work and self._clock() - begun >= self.limit_s:
                    deadline = self._clock() + self.limit_s
                causes.append(cause_of(error))
                over = self._over(error) if self._clock() + pause >= deadline else None
            if over is not None:
                raise over
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    def _over(self, error: PyMongoError) -> FanoutError:
        if self._unreachable is not None and isinstance(error, ConnectionFailure):
            return self._unreachable(error, self.limit_s)
        return MongoFailed(self.collection, type(error).__name__, f"for {self.limit_s:g} s: {cause_of(error)}")


def passes(error: PyMongoError) -> bool:
    """Tell whether an error is of the kind that goes away by itself."""
    if isinstance(error, BulkWriteError):
        codes = codes_of(error)
        return bool(codes & PASSING) and codes <= PASSING | {DUPLICATE_KEY}
    if isinstance(error, ConnectionFailure) or error.has_error_label("RetryableWriteError"):
        return True
    if not isinstance(error, OperationFailure):
        return False
    is_mistaken = error.code == ILLEGAL_OPERATION and MISTAKEN in str((error.details or {}).get("errmsg"))
    return is_mistaken or error.code in PASSING


def codes_of(error: BulkWriteError) -> set[int]:
    """Return the codes of everything that went wrong in a batch."""
    details: Mapping[str, Any] = error.details or {}
    return {int(refusal["code"]) for part in ("writeErrors", "writeConcernErrors") for refusal in details.get(part, ())}
