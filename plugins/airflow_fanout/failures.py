"""Exceptions of requests and of authors' functions as outcomes: foreign errors are translated here, once."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from pathlib import Path

import requests
import urllib3.exceptions

from airflow_fanout.outcome import Failure, Kind, Outcome
from airflow_fanout.retry import parse_retry_after
from airflow_fanout.session import BodyTooLarge

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


def outcome_of(error: BaseException, *, author: str | None = None) -> Outcome:
    """Return the outcome that an exception stands for.

    :param author: the file of the author's function, to say at which line it failed.
    """
    where = _line(error, author)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return outcome_of_status(error.response, where=where)
    kind = next((kind for family, kind in _KINDS if isinstance(error, family)), Kind.ERROR)
    if _is_late_read(error):
        kind = Kind.TIMEOUT
    return Outcome(kind, failure=Failure(type(error).__name__, str(error), where))


def outcome_of_status(response: requests.Response, where: str | None = None) -> Outcome:
    """Return the outcome of an answer whose status says that it is none."""
    return Outcome(
        Kind.HTTP_ERROR,
        status=response.status_code,
        failure=Failure("HTTPError", f"HTTP {response.status_code} {response.reason or ''}".rstrip(), where),
        retry_after_s=parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC)),
    )


def _is_late_read(error: BaseException) -> bool:
    # requests reports a read timeout in the middle of a body as a ConnectionError around urllib3's own exception.
    return isinstance(error, requests.ConnectionError) and any(
        isinstance(cause, urllib3.exceptions.ReadTimeoutError) for cause in error.args
    )


def _line(error: BaseException, author: str | None) -> str | None:
    if author is None:
        return None
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == author]
    return f"{Path(author).name}:{lines[-1]}" if lines else None
