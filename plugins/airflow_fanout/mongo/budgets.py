"""The state of request budgets: one document for each in the collection `budgets`, changed by one client at a time.

A client reads the document with the server's time, decides (`control.allotment`), and writes if nobody else has
written in between. What isn't confirmed by a majority was not decided: its slots are nobody's.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pymongo
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from airflow_fanout.control.allotment import allot
from airflow_fanout.control.api_budget import MOST_PER_S
from airflow_fanout.control.budget_state import FORMAT, BudgetAsk, BudgetState, LedgerAnswer, Override
from airflow_fanout.control.elapsed import earlier
from airflow_fanout.control.frames import MICRO
from airflow_fanout.control.server_clock import ServerClock
from airflow_fanout.errors import FanoutError
from airflow_fanout.mongo.access import refusal, unreachable
from airflow_fanout.mongo.budget_errors import BudgetRefused, BudgetUnreadable
from airflow_fanout.mongo.explain import cause_of
from airflow_fanout.mongo.retrying import passes

if TYPE_CHECKING:
    from pymongo import MongoClient

COLLECTION = "budgets"
# MongoDB's time has milliseconds.
STEP_US = 1_000
# What is known of the server's clock may be wrong by this, on a busy machine.
CLOCK_ERROR_US = 50_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Another client's write comes between a reading and a writing now and then. Several in a row mean that many clients ask
# at one moment: each pause may be twice as long as the one before.
PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.2


class BudgetDocument:
    """The document of one budget.

    :param client: makes requests of a MongoDB; its own limits in time don't count.
    :param name: the document's `_id`.
    :param clock_us: this machine's monotonic clock, in microseconds.
    """

    def __init__(
        self,
        client: MongoClient[Any],
        database: str,
        name: str,
        *,
        conn_id: str = "mongo_default",
        auth_source: str = "admin",
        clock_us: Callable[[], int] = lambda: time.monotonic_ns() // 1_000,
    ) -> None:
        self._client, self._name = client, name
        self._conn_id, self._auth_source = conn_id, auth_source
        self._budgets = client.get_database(database).get_collection(
            COLLECTION, write_concern=WriteConcern("majority"), read_preference=ReadPreference.PRIMARY
        )
        self._clock_us = clock_us
        self._clock = ServerClock(STEP_US)
        self._put_forward_us = 0

    def ask(self, ask: BudgetAsk, timeout_s: float) -> LedgerAnswer:
        """Change the state by an ask, and return the answer.

        :raises MongoUnreachable: if no answer is there in time, as for any passing error.
        :raises MongoDenied: if the user of the connection may not read and write the document.
        :raises BudgetRefused: if MongoDB refuses it for another reason.
        :raises BudgetUnreadable: if another version of this package keeps the budget.
        """
        pause_s = PAUSE_S
        with self._answered_in(timeout_s):
            while (answer := self._try(ask)) is None:
                time.sleep(random.uniform(0, pause_s))  # noqa: S311 - only to get out of each other's way
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            return answer

    def check(self, timeout_s: float) -> None:
        """Raise what `ask` would raise, without changing anything in a document that is there."""
        with self._answered_in(timeout_s):
            document, _ = self._read()
            self._state(document)
            # Who may only read finds out here.
            self._budgets.update_one({"_id": self._name}, {"$setOnInsert": {"version": 0}}, upsert=True)

    @contextmanager
    def _answered_in(self, timeout_s: float) -> Iterator[None]:
        try:
            with pymongo.timeout(timeout_s):
                yield
        except PyMongoError as error:
            problem = self._problem(error)
        else:
            return
        raise problem

    def _try(self, ask: BudgetAsk) -> LedgerAnswer | None:
        """Return the answer to an ask; `None` if another client has written meanwhile."""
        document, now_us = self._read()
        override, remark = override_of(document.get("override"), document["now"])
        state, reservation = allot(self._kept_by(self._state(document), now_us), ask, now_us, override)
        if not self._write(document, state):
            return None
        self._put_forward_us = 0
        return LedgerAnswer(reservation=reservation, ahead_us=self._clock.ahead_us, remark=remark)

    def _read(self) -> tuple[dict[str, Any], int]:
        """Return the document and the moment of the server's clock at which it was read."""
        found = [{"$match": {"_id": self._name}}, {"$set": {"now": "$$NOW"}}]
        while True:
            asked_us = self._clock_us()
            for document in self._budgets.aggregate(found):
                now_us = (document["now"].replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
                self._put_forward_us += self._clock.heard(now_us, asked_us, self._clock_us())
                return document, now_us
            first = {"_id": self._name, "version": 0, "state": msgspec.to_builtins(BudgetState())}
            try:
                self._budgets.insert_one(first)
            except DuplicateKeyError:
                continue

    def _state(self, document: Mapping[str, Any]) -> BudgetState:
        # An operator may have set an override before the first fetch.
        state = document.get("state", {"format": FORMAT})
        written = state.get("format") if isinstance(state, Mapping) else None
        try:
            if written != FORMAT:
                raise msgspec.ValidationError(f"its format is {written}, and this version knows {FORMAT}")  # noqa: TRY301
            return msgspec.convert(state, BudgetState)
        except msgspec.ValidationError as error:
            problem = BudgetUnreadable(f"{self._budgets.full_name}", self._name, str(error))
        raise problem

    def _kept_by(self, state: BudgetState, now_us: int) -> BudgetState:
        """Return the state as the clock has it that the server shows now.

        Another server may have another clock. If that is ahead, the slots that are given by the old one would seem to
        be over, and their time would be given out again.
        """
        if self._put_forward_us <= 0 or state.now_us + self._put_forward_us > now_us + CLOCK_ERROR_US:
            # Somebody has asked since then, whose state has the new moments.
            return state
        return earlier(state, -self._put_forward_us)

    def _write(self, document: Mapping[str, Any], state: BudgetState) -> bool:
        """Replace the state, unless it isn't that of the document any more; return whether it was replaced."""
        # MongoDB takes none for a field that is missing.
        unchanged = {"_id": self._name, "version": document.get("version")}
        change = changes(document.get("state", {}), msgspec.to_builtins(state))
        change["$set"]["version"] = document.get("version", 0) + 1
        return bool(self._budgets.update_one(unchanged, change).matched_count)

    def _problem(self, error: PyMongoError) -> FanoutError:
        if isinstance(known := refusal(error, self._client, self._conn_id, self._auth_source), FanoutError):
            return known
        if passes(error) or error.timeout:
            return unreachable(self._client, self._conn_id, error)
        return BudgetRefused(self._budgets.full_name, self._conn_id, cause_of(error))


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the update from one state to another: of a thousand clients, only the one that has asked is written."""
    known, now = before.get("clients", {}), after["clients"]
    fields = {name: value for name, value in after.items() if name != "clients" and before.get(name) != value}
    clients = {f"clients.{name}": client for name, client in now.items() if known.get(name) != client}
    change = {"$set": {f"state.{name}": value for name, value in {**fields, **clients}.items()}}
    if gone := [name for name in known if name not in now]:
        change["$unset"] = {f"state.clients.{name}": "" for name in gone}
    return change


def override_of(written: object, now: datetime) -> tuple[Override | None, str]:
    """Return what an operator has set at this moment, and how the log says it; what can't be read doesn't count.

    :param written: `rate_per_s`, `concurrency`, `by` and `until`, as they are in the document.
    """
    if not isinstance(written, Mapping):
        return None, ""
    rate_per_s, at_once, until = (written.get(field) for field in ("rate_per_s", "concurrency", "until"))
    if isinstance(until, datetime) and until <= now:
        return None, ""
    problems = [
        *(["rate_per_s"] if rate_per_s is not None and not _is_number(rate_per_s) else []),
        *(["concurrency"] if at_once is not None and (not _is_number(at_once) or at_once != int(at_once)) else []),
        *(["until"] if until is not None and not isinstance(until, datetime) else []),
    ]
    by = f"{written.get('by') or 'Somebody'}"
    if problems:
        return None, f"{by} has set an override whose {' and '.join(problems)} can't be read: it doesn't count."
    if rate_per_s is None and at_once is None:
        return None, f"{by} has set an override with neither rate_per_s nor concurrency: it doesn't count."
    override = Override(
        rate_micro=None if rate_per_s is None else round(rate_per_s * MICRO),
        at_once=None if at_once is None else int(at_once),
    )
    limits = [
        *([] if rate_per_s is None else [f"{rate_per_s:g} requests per second"]),
        *([] if at_once is None else [f"{at_once:g} at once"]),
    ]
    lasts = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return override, f"{by} has set {' and '.join(limits)}{lasts} in its document."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_PER_S
