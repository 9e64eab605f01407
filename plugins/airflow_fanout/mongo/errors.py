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

    sentence: ClassVar[str] = (
        "The result of parameter {index} ({shown}) can't be loaded: {problem}. "
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

    sentence: ClassVar[str] = (
        "{given:,} documents were given to {collection}, and MongoDB confirms {written:,}. "
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

    sentence: ClassVar[str] = (
        "MongoDB refused {refused:,} document(s) for {collection}, the first one with code {code}: "
        "{message}. Fix the cause; load is safe to run again."
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

    sentence: ClassVar[str] = (
        "A newer load of {collection} has taken over: this one was an older try of the same run, or made no "
        "progress for minutes. Readers saw none of its documents. Load is safe to run again."
    )


@dataclass(eq=False)
class MongoFailed(FanoutError):
    """MongoDB can't be reached, or refuses what load asks for."""

    retry: ClassVar[bool] = True

    collection: str
    what: str
    message: str

    sentence: ClassVar[str] = (
        "MongoDB failed while {collection} was written ({what}: {message}). Fix the cause; load is safe to run again."
    )


@dataclass(eq=False)
class MongoUnreachable(FanoutError):
    """No MongoDB answers at the address of a connection."""

    retry: ClassVar[bool] = True

    conn_id: str
    address: str
    why: str

    sentence: ClassVar[str] = (
        "The MongoDB of the connection {conn_id!r} can't be reached at {address}: {why}. "
        "Check that it runs and that this worker may connect to it, then clear this task."
    )


@dataclass(eq=False)
class MongoDenied(FanoutError):
    """MongoDB answers, and doesn't let the user of the connection do what load needs."""

    conn_id: str
    problem: str

    sentence: ClassVar[str] = "The connection {conn_id!r} {problem}"


@dataclass(eq=False)
class TargetChanged(FanoutError):
    """While a swap filled its collection, somebody changed the one that it was to replace."""

    retry: ClassVar[bool] = True

    collection: str
    what: str

    sentence: ClassVar[str] = (
        "{collection} was changed while load filled the collection that takes its place: {what}. "
        "It was left as it is, without any document of this run. Load is safe to run again: the next try starts "
        "from the collection as it is now."
    )


@dataclass(eq=False)
class NewerThere(FanoutError):
    """A swap without a date in the key would put an older run in the place of a newer one."""

    collection: str
    newest: str
    as_of: str

    sentence: ClassVar[str] = (
        "{collection} holds documents of a run of {newest}, and this run is of {as_of}: it would "
        "replace newer documents by older ones. Nothing was replaced. To go back to the older date on purpose, "
        "drop the collection, then clear load."
    )


@dataclass(eq=False)
class PartialNotUpsert(FanoutError):
    """A run is partial, and the mode would remove its documents once a later run loads the rest."""

    mode: str

    def __str__(self) -> str:
        return (
            f'A partial run can\'t be loaded with mode="{self.mode}": a later run loads what this one left out, and '
            'this mode would remove everything else for it. Nothing was written. Use mode="upsert" with '
            "allow_partial=True, then clear load."
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

    sentence: ClassVar[str] = (
        "{collection} can't hold two documents of this run: those of {first} and {second}. "
        "{why}. Nothing was written. Change the report's key or values, or load into another collection, "
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

    sentence: ClassVar[str] = (
        "{collection} would refuse {refused:,} of the first {tried:,} documents of this run. The "
        "first belongs to {first}: {why}. Nothing was written. Change the report's `document` function "
        "or the collection's rules, then clear load."
    )


@dataclass(eq=False)
class FindFailed(FanoutError):
    """Documents of a collection that can't be read now."""

    retry: ClassVar[bool] = True

    collection: str
    problem: str

    sentence: ClassVar[str] = "The documents of {collection} could not be read: {problem}."


@dataclass(eq=False)
class FindRefused(FindFailed):
    """Documents of a collection that can't be read, and trying again would end in the same way."""

    retry: ClassVar[bool] = False
