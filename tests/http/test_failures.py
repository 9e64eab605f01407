from __future__ import annotations

import pytest
import requests
import urllib3.exceptions as inner
from urllib3.connectionpool import HTTPConnectionPool

from airflow_fanout.api.failures import LONGEST_TEXT, outcome_of, outcome_of_status
from airflow_fanout.model.outcome import Kind
from airflow_fanout.wire.adapter import BodyTooLarge

POOL = HTTPConnectionPool("api.example.com")


def caught(error: BaseException) -> BaseException:
    """Return an exception that was raised in this file."""
    try:
        raise error  # noqa: TRY301 - the line is what the test is about
    except BaseException as raised:  # noqa: BLE001 - whatever the test is about
        return raised


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectTimeout(), Kind.TIMEOUT),
        (requests.ReadTimeout(), Kind.TIMEOUT),
        (requests.ConnectionError(inner.ReadTimeoutError(POOL, "/x", "late")), Kind.TIMEOUT),
        (requests.ConnectionError(inner.ProtocolError("reset")), Kind.CONNECTION_ERROR),
        (requests.exceptions.ProxyError(), Kind.CONNECTION_ERROR),
        (requests.exceptions.SSLError(), Kind.CONNECTION_ERROR),
        (requests.exceptions.ChunkedEncodingError(), Kind.CONNECTION_ERROR),
        (inner.IncompleteRead(1, 2), Kind.CONNECTION_ERROR),
        (requests.exceptions.ContentDecodingError(), Kind.INVALID),
        (requests.JSONDecodeError("no JSON", "<html>", 0), Kind.INVALID),
        (requests.TooManyRedirects(), Kind.INVALID),
        (requests.exceptions.InvalidHeader(inner.InvalidHeader("two lengths")), Kind.INVALID),
        (BodyTooLarge("too large"), Kind.INVALID),
        (requests.exceptions.InvalidHeader("an author's header with a line break"), Kind.ERROR),
        (requests.exceptions.MissingSchema(), Kind.ERROR),
        (requests.HTTPError("without a response"), Kind.ERROR),
        (KeyError("calls"), Kind.ERROR),
        (TimeoutError("of the author's own"), Kind.ERROR),
        (SystemExit(1), Kind.ERROR),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_kinds(error: BaseException, kind: Kind) -> None:
    """Each exception of requests has the kind of what happened in the world; all others are the author's."""
    outcome = outcome_of(error)
    assert outcome.kind is kind
    assert outcome.failure is not None
    assert outcome.failure.type == type(error).__name__


def test_words_are_those_of_the_cause() -> None:
    """The words are about what happened, not about retries nobody made, and without the query, where secrets may be."""
    reason = inner.NewConnectionError(POOL, "Failed to establish a new connection: refused")  # type: ignore[arg-type] # any object with a repr
    outcome = outcome_of(requests.ConnectionError(inner.MaxRetryError(POOL, "/calls?token=s3cr3t", reason)))
    assert outcome.failure is not None
    assert "Failed to establish a new connection: refused" in outcome.failure.message
    assert "s3cr3t" not in outcome.failure.message
    assert "retries" not in outcome.failure.message


def test_words_have_an_end() -> None:
    """A message of any length is cut, and says how long it was."""
    failure = outcome_of(ValueError("é" * 5_000)).failure
    assert failure is not None
    assert failure.message == "é" * LONGEST_TEXT + "… (5,000 characters)"


def test_place_is_the_authors_last_line() -> None:
    """The place is the innermost line of the author's file, whatever it called; without such a line there is none."""
    error = caught(ValueError("x"))
    line = caught.__code__.co_firstlineno + 3
    failure, elsewhere = outcome_of(error, author=__file__).failure, outcome_of(error, author="report.py").failure
    assert failure is not None
    assert elsewhere is not None
    assert failure.where == f"test_failures.py:{line}"
    assert elsewhere.where is None


def test_status_has_its_words_and_its_wait() -> None:
    """An answer with a bad status keeps the status, the reason and what the server asks for."""
    response = requests.Response()
    response.status_code, response.reason = 429, "Too Many Requests"
    response.headers["Retry-After"] = "7"
    outcome = outcome_of(requests.HTTPError(response=response))
    assert outcome == outcome_of_status(response)
    assert (outcome.kind, outcome.status, outcome.retry_after_s) == (Kind.HTTP_ERROR, 429, 7.0)
    assert outcome.failure is not None
    assert outcome.failure.message == "HTTP 429 Too Many Requests"
