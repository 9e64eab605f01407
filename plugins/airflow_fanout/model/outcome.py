"""What became of a parameter: a closed set of outcomes, exactly one for each."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from airflow_fanout import codec
from airflow_fanout.codec import Json


class Kind(StrEnum):
    """The kinds of outcome; their names are stable, in the journal, in summaries and in alerts."""

    OK = "ok"
    NULL = "null"
    HTTP_ERROR = "http_error"
    API_ERROR = "api_error"
    TIMEOUT = "timeout"
    CONNECTION_ERROR = "connection_error"
    INVALID = "invalid"
    ERROR = "error"
    NOT_TRIED = "not_tried"


class Cause(StrEnum):
    """Why there is no answer, if waiting doesn't cure it: somebody has to change something first."""

    UNKNOWN_HOST = "unknown_host"
    UNKNOWN_PROXY = "unknown_proxy"
    CERTIFICATE = "certificate"
    TLS_FILE = "tls_file"
    TLS = "tls"
    CREDENTIALS = "credentials"
    FORBIDDEN = "forbidden"
    PROXY_CREDENTIALS = "proxy_credentials"


class Failure(msgspec.Struct, frozen=True):
    """Why there is no result: the exception's type, what it says, and where in the author's code it arose."""

    type: str
    message: str
    where: str | None = None


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one try gave.

    `retry_after_s` is for how long the server wants no requests, in seconds from now. `garbled` says that the answer is
    no JSON at all: torn, or a page of something between here and the server; asked again, it may well be right.
    `unsent` says that no connection stood, so that nothing of the request has left; `unprocessed`, that the server has
    said that it hasn't processed the request (RFC 9113, 8.7). `outdated` says that it was refused with credentials that
    newer ones have replaced, or are about to: that is no attempt, and says nothing of the server. `is_passing` says
    that, by the author's `retry_if`, another attempt may be answered better. `cause` is what somebody has to change, if
    it is known.
    """

    kind: Kind
    result: Json = None
    status: int | None = None
    failure: Failure | None = None
    retry_after_s: float | None = None
    garbled: bool = False
    unsent: bool = False
    unprocessed: bool = False
    outdated: bool = False
    cause: Cause | None = None
    is_passing: bool = False


class Validators(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What an answer says of its version (RFC 9110, 8.8), by which a later run asks whether it has changed.

    :param of: the digest of the request that it is the answer to.
    :param etag: its `ETag`, as it came.
    :param modified: its `Last-Modified`, as it came.
    """

    of: str
    etag: str | None = None
    modified: str | None = None


class Record(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename={"failure": "error"}):
    """A line of the journal: a parameter, its place in the list, and its outcome after all attempts.

    `ms` is the time of the last attempt, in milliseconds, from taking it up to having its result. What doesn't apply is
    left out of the line. `validators` are kept only if the report's author asks for conditional requests.
    """

    index: int
    parameter: Json
    kind: Kind
    attempts: int
    ms: float
    status: int | None = None
    result: Json = None
    failure: Failure | None = None
    validators: Validators | None = None

    @classmethod
    def of(cls, index: int, parameter: Json, outcome: Outcome, attempts: int, ms: float) -> Record:
        """Return the record of a parameter that has ended; its time is rounded to a tenth of a millisecond."""
        # `round` is right in the last bit, and takes twice as long.
        tenths = int(ms * 10 + 0.5) / 10
        return cls(index, parameter, outcome.kind, attempts, tenths, outcome.status, outcome.result, outcome.failure)

    @classmethod
    def from_line(cls, text: bytes) -> Record:
        """Return the record that a line of the journal holds; raise `NotJson` for what is none."""
        return _record(text)


class RecordKey(msgspec.Struct, frozen=True, gc=False):
    """What of a record says whether it counts; much faster to read than all of it."""

    index: int
    kind: Kind

    @classmethod
    def from_line(cls, text: bytes) -> RecordKey:
        """Return the place that a line of the journal is about; raise `NotJson` for what is none."""
        return _place(text)


_record = codec.decoder(Record)
_place = codec.decoder(RecordKey)
