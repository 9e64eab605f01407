"""What libcurl says of a failure as the exception that requests raises for the same, with urllib3's own inside."""

from __future__ import annotations

import os
from http.client import BadStatusLine, HTTPException, RemoteDisconnected
from typing import TYPE_CHECKING, Any, NamedTuple

import pycurl
import requests
from requests.exceptions import ChunkedEncodingError, InvalidHeader
from urllib3 import exceptions as inner

from airflow_fanout.engine.libcurl.transfer import Unreadable, is_bad_header

if TYPE_CHECKING:
    from urllib3.connectionpool import HTTPConnectionPool

# The server has gone without a word; the last of these is how libcurl refuses to send a POST a second time.
_GONE = frozenset({pycurl.E_GOT_NOTHING, pycurl.E_RECV_ERROR, pycurl.E_SEND_FAIL_REWIND})
# Nothing has been sent yet, and what TLS or the name service has against it requests says in more words, when it is
# asked to send.
UNSENT = frozenset(
    {
        pycurl.E_COULDNT_RESOLVE_HOST,
        pycurl.E_SSL_CONNECT_ERROR,
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CERTPROBLEM,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_SSL_ENGINE_INITFAILED,
        pycurl.E_SSL_CIPHER,
        pycurl.E_URL_MALFORMAT,
    }
)


class Broken(NamedTuple):
    """A transfer that has no whole answer.

    :param code: libcurl's code.
    :param message: its words.
    :param errno: the operating system's error of the connection; 0 for none.
    :param answered: whether the answer's headers had come.
    :param size: how much of the body had come, in bytes.
    :param connected: whether the connection stood.
    :param in_head: whether the answer's head had begun, and wasn't whole yet.
    """

    code: int
    message: str
    errno: int
    answered: bool
    size: int
    connected: bool
    in_head: bool


def failure_of(
    broken: Broken, request: requests.PreparedRequest, pool: HTTPConnectionPool, limits: tuple[float | None, ...]
) -> Exception:
    """Return the exception that requests would raise.

    :param request: what was sent.
    :param pool: the pool of urllib3's that would have sent it.
    :param limits: the time limits for the connection and for reading, in seconds.
    """
    connect_s, read_s = limits
    if broken.code == pycurl.E_OPERATION_TIMEDOUT:
        return _timed_out(broken, request, pool, (connect_s, read_s))
    if broken.code == pycurl.E_COULDNT_CONNECT:
        connection: Any = pool.ConnectionCls(pool.host, pool.port)
        said = f"[Errno {broken.errno}] {os.strerror(broken.errno)}" if broken.errno else broken.message
        reason = inner.NewConnectionError(connection, f"Failed to establish a new connection: {said}")
        return requests.ConnectionError(inner.MaxRetryError(pool, request.path_url, reason), request=request)
    if is_bad_header(broken.code, in_head=broken.in_head):
        return InvalidHeader(inner.InvalidHeader(broken.message), request=request)
    if broken.answered:
        # The answer breaks off in its body.
        reset = ConnectionResetError(broken.errno, os.strerror(broken.errno)) if broken.errno else None
        said = repr(reset) if reset else f"{broken.message} ({broken.size} bytes read)"
        cut = inner.ProtocolError(f"Connection broken: {said}", reset or inner.HTTPError(broken.message))
        return ChunkedEncodingError(cut)
    return requests.ConnectionError(inner.ProtocolError("Connection aborted.", _aborted(broken)), request=request)


def refused(error: Unreadable, request: requests.PreparedRequest) -> Exception:
    """Return the exception that requests would raise for an answer that libcurl has taken."""
    if error.name == "InvalidHeader":
        return InvalidHeader(inner.InvalidHeader(error.message), request=request)
    aborted = inner.ProtocolError("Connection aborted.", HTTPException(error.message))
    return requests.ConnectionError(aborted, request=request)


def _timed_out(
    broken: Broken,
    request: requests.PreparedRequest,
    pool: HTTPConnectionPool,
    limits: tuple[float | None, float | None],
) -> Exception:
    connect_s, read_s = limits
    if not broken.connected:
        text = f"Connection to {pool.host} timed out. (connect timeout={connect_s})"
        reason = inner.ConnectTimeoutError(pool.ConnectionCls(pool.host, pool.port), text)
        return requests.ConnectTimeout(inner.MaxRetryError(pool, request.path_url, reason), request=request)
    if broken.answered:
        return requests.ConnectionError(inner.ReadTimeoutError(pool, None, "Read timed out."))
    text = f"Read timed out. (read timeout={read_s})"
    return requests.ReadTimeout(inner.ReadTimeoutError(pool, request.path_url, text), request=request)


def _aborted(broken: Broken) -> Exception:
    """Return what Python's own client says of an answer that doesn't come or can't be read."""
    if broken.errno:
        return ConnectionResetError(broken.errno, os.strerror(broken.errno))
    if broken.code in _GONE:
        return RemoteDisconnected("Remote end closed connection without response")
    if broken.code in (pycurl.E_UNSUPPORTED_PROTOCOL, pycurl.E_FTP_WEIRD_SERVER_REPLY):
        return BadStatusLine(broken.message)
    return ConnectionError(broken.message)
