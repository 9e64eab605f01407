"""Exceptions of requests and of authors' functions as outcomes: foreign errors are translated here, once."""

from __future__ import annotations

import re
import ssl
import traceback
from datetime import UTC, datetime
from pathlib import Path

import requests
import urllib3.exceptions

from airflow_fanout import codec
from airflow_fanout.api.causes import is_no_name, is_tls_refused
from airflow_fanout.api.ratelimit import pause_s
from airflow_fanout.model.outcome import Cause, Failure, Kind, Outcome
from airflow_fanout.wire.adapter import BodyTooLarge, UnreadableJson

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

# What urllib3 raises before a request is sent.
_UNSENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.ProxyError,
    requests.exceptions.ProxyError,
)
# Python's own client: "Tunnel connection failed: 407 …"; the session of an http address: "HTTP 407 …".
_PROXY_REFUSES = re.compile(r"^(?:Tunnel connection failed:|HTTP) 407\b")
# PySocks, of a name and a password, or of none.
_SOCKS_REFUSES = re.compile(r"SOCKS5 authentication (?:failed|methods were rejected)")

# Answers as good as any other, which take as long.
_NOTHING_THERE = frozenset({404, 410})

# A message is for people; a page of HTML in it is not.
LONGEST_TEXT = 1_000


def outcome_of(error: BaseException, *, author: str | None = None) -> Outcome:
    """Return the outcome that an exception stands for.

    :param author: the file of the author's function, to say at which line it failed.
    """
    # The traceback of `None` is empty.
    frames = traceback.walk_tb(error.__traceback__ if author else None)
    lines = [number for frame, number in frames if frame.f_code.co_filename == author]
    where = f"{Path(author).name}:{lines[-1]}" if author and lines else None
    # An author may raise an HTTPError with anything for a response, and what has no status is no answer.
    if isinstance(error, requests.HTTPError) and isinstance(getattr(error.response, "status_code", None), int):
        return outcome_of_status(error.response, where=where)
    if isinstance(error, UnreadableJson) and error.response is not None and not 200 <= error.response.status_code < 300:
        # A redirect that isn't followed, or another status that `raise_for_status` lets pass.
        return outcome_of_status(error.response, where=where)
    kind = next((kind for family, kind in _KINDS if isinstance(error, family)), Kind.ERROR)
    inner = _inner(error)
    kind = next((kind for family, kind in _INNER_KINDS if isinstance(inner, family)), kind)
    words, cause = _words(inner or error), _cause(error, inner)
    proxy = getattr(error, "proxy", "")
    # Unreadable JSON has the name that it has in a declarative request.
    name = codec.NotJson.__name__ if isinstance(error, UnreadableJson) else short(type(error).__name__)
    failure = Failure(name, f"the proxy {proxy}: {words}" if proxy else words, where)
    unsent = isinstance(error, requests.ConnectTimeout) or isinstance(inner or error, _UNSENT)
    return Outcome(kind, failure=failure, garbled=isinstance(error, _GARBLED), unsent=unsent, cause=cause)


def _cause(error: BaseException, inner: BaseException | None) -> Cause | None:
    """Return what somebody has to change, as requests' or urllib3's exception has it; `None` if it may pass."""
    if isinstance(error, requests.exceptions.ProxyError):
        at_proxy = inner.original_error if isinstance(inner, urllib3.exceptions.ProxyError) else error
        if isinstance(at_proxy, urllib3.exceptions.NameResolutionError):
            return Cause.UNKNOWN_PROXY if is_no_name(at_proxy.__cause__) else None
        return Cause.PROXY_CREDENTIALS if _PROXY_REFUSES.search(_words(at_proxy)) else None
    if isinstance(inner, urllib3.exceptions.NameResolutionError):
        return Cause.UNKNOWN_HOST if is_no_name(inner.__cause__) else None
    if isinstance(inner, urllib3.exceptions.NewConnectionError) and _SOCKS_REFUSES.search(_words(inner)):
        return Cause.PROXY_CREDENTIALS
    if isinstance(inner, urllib3.exceptions.SSLError):
        untrusted = any(isinstance(argument, ssl.SSLCertVerificationError) for argument in inner.args)
        return Cause.CERTIFICATE if untrusted else Cause.TLS if is_tls_refused(_words(inner)) else None
    return None


def outcome_of_status(response: requests.Response, where: str | None = None) -> Outcome:
    """Return the outcome of an answer whose status says that it is none."""
    return Outcome(
        Kind.HTTP_ERROR,
        status=response.status_code,
        failure=Failure("HTTPError", short(f"HTTP {response.status_code} {response.reason or ''}".rstrip()), where),
        retry_after_s=pause_s(response.headers, datetime.now(UTC)),
    )


def outcome_of_answer(response: requests.Response) -> Outcome:
    """Return what an answer says of its server, whatever the function makes of it."""
    asked_s = None
    if any("ratelimit" in name or "retry-after" in name for name in map(str.lower, response.headers)):
        asked_s = pause_s(response.headers, datetime.now(UTC))
    if response.status_code < 400:
        return Outcome(Kind.OK, status=response.status_code, retry_after_s=asked_s)
    if response.status_code in _NOTHING_THERE:
        return Outcome(Kind.NULL, status=response.status_code, retry_after_s=asked_s)
    return Outcome(Kind.HTTP_ERROR, status=response.status_code, retry_after_s=asked_s)


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
        text = f"its message can't be read ({type(unspeakable).__name__})"
    return short(text)


def short(text: str) -> str:
    """Return a text as the journal can hold it: UTF-8, and cut if nobody would read all of it."""
    # A lone surrogate, out of broken bytes, is no UTF-8. Cut first: a text may be a hundred megabytes.
    safe = text[:LONGEST_TEXT].encode(errors="backslashreplace").decode()
    return safe if len(text) <= LONGEST_TEXT else f"{safe}… ({len(text):,} characters)"
