"""Exceptions of requests and of authors' functions as outcomes: foreign errors are translated here, once."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from pathlib import Path

import requests
import urllib3.exceptions

from airflow_fanout.outcome import Failure, Kind, Outcome
from airflow_fanout.ratelimit import pause_s
from airflow_fanout.session import BodyTooLarge

# What can't be read at all; an answer without the field that was asked for is read well.
_GARBLED = (requests.JSONDecodeError, requests.exceptions.ContentDecodingError)

# In the order of the exceptions' family tree: the first family that fits decides, and what fits none is an error
# of the author's. `Timeout` stands before `ConnectionError`, since a connect timeout is both.
_KINDS: tuple[tuple[type[BaseException], Kind], ...] = (
    (requests.Timeout, Kind.TIMEOUT),
    (BodyTooLarge, Kind.INVALID),
    (requests.JSONDecodeError, Kind.INVALID),
    (requests.exceptions.ContentDecodingError, Kind.INVALID),
    (requests.TooManyRedirects, Kind.INVALID),
    (requests.ConnectionError, Kind.CONNECTION_ERROR),
    (requests.exceptions.ChunkedEncodingError, Kind.CONNECTION_ERROR),
    (urllib3.exceptions.HTTPError, Kind.CONNECTION_ERROR),
)


# What requests wraps in an exception of a family that is too wide: a read timeout in the middle of a body is a
# ConnectionError, a header that contradicts itself an InvalidHeader, as an author's own mistake would be.
_INNER_KINDS: tuple[tuple[type[BaseException], Kind], ...] = (
    (urllib3.exceptions.ReadTimeoutError, Kind.TIMEOUT),
    (urllib3.exceptions.InvalidHeader, Kind.INVALID),
)

# A message is for people; a page of HTML in it is not.
LONGEST_TEXT = 1_000


def outcome_of(error: BaseException, *, author: str | None = None) -> Outcome:
    """Return the outcome that an exception stands for.

    :param author: the file of the author's function, to say at which line it failed.
    """
    where = _line(error, author)
    # An author may raise an HTTPError with anything for a response, and what has no status is no answer.
    if isinstance(error, requests.HTTPError) and isinstance(getattr(error.response, "status_code", None), int):
        return outcome_of_status(error.response, where=where)
    kind = next((kind for family, kind in _KINDS if isinstance(error, family)), Kind.ERROR)
    inner = _inner(error)
    kind = next((kind for family, kind in _INNER_KINDS if isinstance(inner, family)), kind)
    failure = Failure(short(type(error).__name__), _words(inner or error), where)
    return Outcome(kind, failure=failure, garbled=isinstance(error, _GARBLED))


def outcome_of_status(response: requests.Response, where: str | None = None) -> Outcome:
    """Return the outcome of an answer whose status says that it is none."""
    return Outcome(
        Kind.HTTP_ERROR,
        status=response.status_code,
        failure=Failure("HTTPError", short(f"HTTP {response.status_code} {response.reason or ''}".rstrip()), where),
        retry_after_s=pause_s(response.headers, datetime.now(UTC)),
    )


def _inner(error: BaseException) -> BaseException | None:
    """Return urllib3's exception inside one of requests'."""
    if not isinstance(error, requests.RequestException):
        return None
    inner = next((cause for cause in error.args if isinstance(cause, urllib3.exceptions.HTTPError)), None)
    # It speaks of retries that nobody made, and shows the address with its query, where secrets may be.
    return inner.reason if isinstance(inner, urllib3.exceptions.MaxRetryError) else inner


def _words(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException as unspeakable:  # noqa: BLE001 - an author's exception may fail at saying what it is
        text = f"its own text can't be had ({type(unspeakable).__name__})"
    return short(text)


def short(text: str) -> str:
    """Return a text as the journal can hold it: UTF-8, and cut if nobody would read all of it."""
    # A lone surrogate, out of broken bytes, is no UTF-8. Cut first: a text may be a hundred megabytes.
    safe = text[:LONGEST_TEXT].encode(errors="backslashreplace").decode()
    return safe if len(text) <= LONGEST_TEXT else f"{safe}… ({len(text):,} characters)"


def _line(error: BaseException, author: str | None) -> str | None:
    if author is None:
        return None
    frames = traceback.walk_tb(error.__traceback__)
    lines = [number for frame, number in frames if frame.f_code.co_filename == author]
    return f"{Path(author).name}:{lines[-1]}" if lines else None
