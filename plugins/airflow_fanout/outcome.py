"""What became of a parameter: a closed set of outcomes, exactly one for each."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from airflow_fanout import codec
from airflow_fanout.codec import Json


class Kind(StrEnum):
    """The kinds of outcome; their names are stable, in the journal, in summaries and in alerts."""

    OK = "ok"
    NULL = "null"
    HTTP_ERROR = "http_error"
    TIMEOUT = "timeout"
    CONNECTION_ERROR = "connection_error"
    INVALID = "invalid"
    ERROR = "error"
    NOT_TRIED = "not_tried"


class Failure(NamedTuple):
    """Why there is no result: the exception's type, what it says, and where in the author's code it arose."""

    type: str
    message: str
    where: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What one try gave.

    `retry_after_s` is for how long the server wants no requests, in seconds from now. `garbled` says that the answer is
    no JSON at all: torn, or a page of something between here and the server; asked again, it may well be right.
    """

    kind: Kind
    result: Json = None
    status: int | None = None
    failure: Failure | None = None
    retry_after_s: float | None = None
    garbled: bool = False


class Record(msgspec.Struct, frozen=True):
    """A line of the journal: a parameter, its place in the list, and its outcome after all attempts.

    `ms` is the time of the last attempt, in milliseconds, from taking it up to having its result.
    """

    index: int
    parameter: Json
    outcome: Outcome
    attempts: int
    ms: float

    @staticmethod
    def lines(records: Iterable[Record]) -> bytes:
        """Return the records as lines of the journal, each with its line break; what doesn't apply is left out."""
        return codec.encode_lines([record._line() for record in records])

    def _line(self) -> _Line:
        out = self.outcome
        error = out.failure and out.failure._asdict()
        return _Line(
            self.index, self.parameter, out.kind, self.attempts, round(self.ms, 1), out.status, out.result, error
        )

    @classmethod
    def from_line(cls, text: bytes) -> Record:
        """Return the record that a line of the journal holds; raise `NotJson` for what is none."""
        line = _line(text)
        failure = Failure(**line.error) if line.error else None
        return cls(
            line.index, line.parameter, Outcome(line.kind, line.result, line.status, failure), line.attempts, line.ms
        )


class Place(msgspec.Struct, frozen=True, gc=False):
    """What of a record says whether it counts; much faster to read than all of it."""

    index: int
    kind: Kind

    @classmethod
    def from_line(cls, text: bytes) -> Place:
        """Return the place that a line of the journal is about; raise `NotJson` for what is none."""
        return _place(text)


class _Line(msgspec.Struct, gc=False, omit_defaults=True):
    index: int
    parameter: Json
    kind: Kind
    attempts: int
    ms: float
    status: int | None = None
    result: Json = None
    error: dict[str, Any] | None = None


_line = codec.decoder(_Line)
_place = codec.decoder(Place)
