"""What libcurl's codes mean for a declarative request, in the names and words of an outcome."""

from __future__ import annotations

import os
from http.client import responses

import pycurl

from airflow_fanout.engine.libcurl.transfer import EARLY, Transfer, Unreadable, too_large_text
from airflow_fanout.engine.libcurl.unanswered import PROXY_FAILED
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.wire.coding import BadCoding, decoded

# The names are those that the same failures have in requests. What isn't here is a broken connection.
FAILURES = {
    pycurl.E_URL_MALFORMAT: (Kind.ERROR, "InvalidURL"),
    pycurl.E_BAD_CONTENT_ENCODING: (Kind.INVALID, "ContentDecodingError"),
    pycurl.E_PARTIAL_FILE: (Kind.CONNECTION_ERROR, "ChunkedEncodingError"),
    pycurl.E_COULDNT_RESOLVE_PROXY: (Kind.CONNECTION_ERROR, "ProxyError"),
    PROXY_FAILED: (Kind.CONNECTION_ERROR, "ProxyError"),
    pycurl.E_SSL_CONNECT_ERROR: (Kind.CONNECTION_ERROR, "SSLError"),
    pycurl.E_PEER_FAILED_VERIFICATION: (Kind.CONNECTION_ERROR, "SSLError"),
    pycurl.E_SSL_CERTPROBLEM: (Kind.CONNECTION_ERROR, "SSLError"),
    pycurl.E_SSL_CACERT_BADFILE: (Kind.CONNECTION_ERROR, "SSLError"),
}
# How a kept connection fails that its server has closed meanwhile; the last is how libcurl refuses to send twice.
DIED = frozenset({pycurl.E_GOT_NOTHING, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR, pycurl.E_SEND_FAIL_REWIND})


def early(transfer: Transfer, *, repeatable: bool) -> Outcome | None:
    """Return the outcome of what was on the connection before the request was sent; `None` for an answer.

    :param repeatable: whether the request may be sent again.
    """
    if not transfer.forget_early():
        return None
    return Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", EARLY), unprocessed=repeatable)


def unreadable(transfer: Transfer) -> Outcome | None:
    """Return the outcome of an answer that has no good end, if its head says already that it couldn't be read."""
    error = transfer.complaint()
    return None if error is None else Outcome(error.kind, failure=Failure(error.name, error.message))


def words_of(transfer: Transfer, code: int, message: str) -> str:
    """Return libcurl's message with what else is known: an error of the system, a header, a refused stream."""
    if transfer.refused and code in DIED:
        return f"the server refused the request's HTTP/2 stream (REFUSED_STREAM), so it wasn't processed: {message}"
    if code == pycurl.E_COULDNT_CONNECT and (number := transfer.easy.getinfo(pycurl.OS_ERRNO)):
        return f"{message} ({os.strerror(number)})"
    if code == pycurl.E_BAD_CONTENT_ENCODING:
        lines = [line for line in transfer.head if line.lower().startswith(b"content-encoding:")]
        return f"{message} ({b''.join(lines).decode('latin-1').strip()})"
    return message


def decoded_body(coding: str, body: bytes, most: int) -> bytes:
    """Return a body without its content coding.

    :param most: the largest body, in bytes.
    :raises Unreadable: if it can't be decoded, or is too large.
    """
    try:
        whole = decoded(coding, body, most)
    except BadCoding as error:
        raise Unreadable(Kind.INVALID, "ContentDecodingError", str(error), garbled=True) from error
    if whole is None:
        raise Unreadable(Kind.INVALID, "BodyTooLarge", too_large_text(most))
    return whole


def reason_in(status: int, head: list[bytes]) -> str:
    """Return the status in words, as the status line has them."""
    # HTTP/2 has no words for a status.
    if head and head[0].startswith(b"HTTP/1"):
        return head[0].decode("latin-1").rstrip().partition(" ")[2].partition(" ")[2]
    return responses.get(status, "")
