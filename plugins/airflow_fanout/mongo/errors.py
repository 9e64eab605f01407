"""What can go wrong between the documents and MongoDB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_fanout.errors import FanoutError


@dataclass(eq=False)
class BadDocument(FanoutError):
    """A result that can't become a document; found before the first write."""

    index: int
    shown: str
    problem: str

    def __str__(self) -> str:
        return (
            f"The result of parameter {self.index} ({self.shown}) can't be loaded: {self.problem}. "
            "No document of this run was written. Fix the report's `document` function, its key or its types, then "
            "clear load."
        )


@dataclass(eq=False)
class CountMismatch(FanoutError):
    """MongoDB holds another number of documents than load gave it."""

    retry: ClassVar[bool] = True

    collection: str
    given: int
    written: int

    def __str__(self) -> str:
        return (
            f"{self.given:,} documents were given to {self.collection}, and MongoDB confirms {self.written:,}. "
            "Load is safe to run again. If it fails in this way again, find out which program or TTL index removes or "
            "replaces documents with the keys of this run."
        )


@dataclass(eq=False)
class WriteRefused(FanoutError):
    """MongoDB refused documents of a batch."""

    retry: ClassVar[bool] = True

    collection: str
    refused: int
    code: int
    message: str

    def __str__(self) -> str:
        return (
            f"MongoDB refused {self.refused:,} document(s) for {self.collection}, the first one with code {self.code}: "
            f"{self.message}. Fix the cause; load is safe to run again."
        )


@dataclass(eq=False)
class NoUniqueIndex(FanoutError):
    """The collection can't have the unique index that makes load safe to repeat."""

    collection: str
    key: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        return (
            f"{self.collection} can't have a unique index on {' + '.join(self.key)}: {self.why}. Nothing was written. "
            "Fix that, or give the report another key or collection, then clear load."
        )


@dataclass(eq=False)
class SwapLost(FanoutError):
    """The temporary collection of a swap was taken away from the load that filled it."""

    retry: ClassVar[bool] = True

    collection: str

    def __str__(self) -> str:
        return (
            f"A newer load of {self.collection} has taken over: this one was an older try of the same run, or made no "
            "progress for minutes. Readers saw none of its documents. Load is safe to run again."
        )


@dataclass(eq=False)
class MongoFailed(FanoutError):
    """MongoDB can't be reached, or refuses what load asks for."""

    retry: ClassVar[bool] = True

    collection: str
    what: str
    message: str

    def __str__(self) -> str:
        return (
            f"MongoDB failed while {self.collection} was written ({self.what}: {self.message}). "
            "Fix the cause; load is safe to run again."
        )


@dataclass(eq=False)
class MongoUnreachable(FanoutError):
    """No MongoDB answers at the address of a connection."""

    retry: ClassVar[bool] = True

    conn_id: str
    address: str
    why: str

    def __str__(self) -> str:
        return (
            f"The MongoDB of the connection {self.conn_id!r} can't be reached at {self.address}: {self.why}. "
            "Check that it runs and that this worker may connect to it, then clear this task."
        )


@dataclass(eq=False)
class MongoDenied(FanoutError):
    """MongoDB answers, and doesn't let the user of the connection do what load needs."""

    conn_id: str
    problem: str

    def __str__(self) -> str:
        return f"The connection {self.conn_id!r} {self.problem}"


@dataclass(eq=False)
class TargetChanged(FanoutError):
    """While a swap filled its collection, somebody changed the one that it was to replace."""

    retry: ClassVar[bool] = True

    collection: str
    what: str

    def __str__(self) -> str:
        return (
            f"{self.collection} was changed while load filled the collection that takes its place: {self.what}. "
            "It was left as it is, without any document of this run. Load is safe to run again: the next try starts "
            "from the collection as it is now."
        )


@dataclass(eq=False)
class NewerThere(FanoutError):
    """A swap without a date in the key would put an older run in the place of a newer one."""

    collection: str
    newest: str
    as_of: str

    def __str__(self) -> str:
        return (
            f"{self.collection} holds documents of a run of {self.newest}, and this run is of {self.as_of}: it would "
            "replace newer documents by older ones. Nothing was replaced. To go back to the older date on purpose, "
            "drop the collection, then clear load."
        )


@dataclass(eq=False)
class BadTarget(FanoutError):
    """The collection is one that load can't write to as the report asks; found before the first write."""

    collection: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return (
            f"{self.collection} can't be loaded: {'; '.join(self.problems)}. Nothing was written. "
            "Change the report or the collection, then clear load."
        )


@dataclass(eq=False)
class KeysMeet(FanoutError):
    """Two documents of a run that are the same by the collection's rules; found before the first write."""

    collection: str
    first: str
    second: str
    why: str

    def __str__(self) -> str:
        return (
            f"{self.collection} can't hold two documents of this run: those of {self.first} and {self.second}. "
            f"{self.why}. Nothing was written. Change the report's key or values, or load into another collection, "
            "then clear load."
        )


@dataclass(eq=False)
class DocumentRefused(FanoutError):
    """Documents that MongoDB would refuse; found before the first write."""

    collection: str
    refused: int
    tried: int
    first: str
    why: str

    def __str__(self) -> str:
        return (
            f"{self.collection} would refuse {self.refused:,} of the first {self.tried:,} documents of this run. The "
            f"first belongs to {self.first}: {self.why}. Nothing was written. Change the report's `document` function "
            "or the collection's rules, then clear load."
        )
