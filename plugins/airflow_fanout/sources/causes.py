"""Failures that no waiting cures: how a request's exception says that it is one of them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

# `EAI_AGAIN` and `EAI_FAIL` are the resolver's own troubles.
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})
# OpenSSL's reasons for a handshake that can never succeed.
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "BAD_BASE64_DECODE")


def lasting_cause(error: BaseException) -> str | None:
    """Return what is wrong and what to do, if it stays wrong until somebody acts; `None` if it may pass."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"the server's certificate isn't trusted ({cause.verify_message}); name the file of its CA as "
                '`verify` in the connection\'s extra, as in {"verify": "/path/to/ca.pem"}'
            )
        if isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
            return f"TLS isn't possible ({cause.reason}); check the connection's scheme, port, `verify` and `cert`"
        if isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_HOST:
            return "the host's name is unknown here; check the connection's host, or the proxy's"
    # requests raises a bare OSError for a file of the connection's `verify` or `cert` that isn't there.
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return f"{error}; check `verify` and `cert` in the connection's extra"
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it was made from: requests and urllib3 keep these in different places."""
    left, seen = [error], set()
    while left:
        cause = left.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        inner = [cause.__cause__, cause.__context__, *cause.args, getattr(cause, "reason", None)]
        if isinstance(cause, urllib3.exceptions.ProxyError):
            inner.append(cause.original_error)
        left.extend(error for error in inner if isinstance(error, BaseException))
