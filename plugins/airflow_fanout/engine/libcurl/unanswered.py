"""What libcurl's failures say besides their kind: whether anything was sent, and what somebody has to change."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pycurl

from airflow_fanout.api.causes import is_no_name
from airflow_fanout.model.outcome import Cause, Failure, Kind, Outcome

# What somebody has to change, by libcurl's code.
CAUSES = {
    pycurl.E_COULDNT_RESOLVE_HOST: Cause.UNKNOWN_HOST,
    pycurl.E_COULDNT_RESOLVE_PROXY: Cause.UNKNOWN_PROXY,
    pycurl.E_PEER_FAILED_VERIFICATION: Cause.CERTIFICATE,
    pycurl.E_SSL_CERTPROBLEM: Cause.TLS_FILE,
    pycurl.E_SSL_CACERT_BADFILE: Cause.TLS_FILE,
    pycurl.E_SSL_CIPHER: Cause.TLS,
}
# CURLE_PROXY, and what CURLINFO_PROXY_ERROR says of a SOCKS5 proxy that lets nobody in without other credentials
# (CURLPX_NO_AUTH, CURLPX_USER_REJECTED); pycurl has no names for them.
PROXY_FAILED = 97
_SOCKS_REFUSES = frozenset({12, 33})
# libcurl sends again by itself what a server of HTTP/2 has refused (REFUSED_STREAM, GOAWAY), five times. Then it says:
GAVE_UP = "Connection died, tried"

Resolve = Callable[[str, None], Any]


def is_unsent(easy: Any) -> bool:
    """Return whether nothing of the request has left: no connection stood, or no tunnel through the proxy."""
    return not easy.getinfo(pycurl.REQUEST_SIZE)


def cause_of(easy: Any, code: int) -> Cause | None:
    """Return what somebody has to change after a transfer ended with this code; `None` if the failure may pass."""
    if code == PROXY_FAILED and easy.getinfo(pycurl.PROXY_ERROR) in _SOCKS_REFUSES:
        return Cause.PROXY_CREDENTIALS
    return CAUSES.get(code)


def refused_by_proxy(proxy: str, reason: str) -> Outcome:
    """Return the outcome of a request that a proxy hasn't passed on, for want of credentials (RFC 9110, 15.5.8)."""
    failure = Failure("ProxyError", f"the proxy {proxy} refused our credentials: HTTP 407 {reason}".rstrip())
    return Outcome(Kind.CONNECTION_ERROR, failure=failure, unsent=True, cause=Cause.PROXY_CREDENTIALS)


def is_unknown(host: str, resolve: Resolve = socket.getaddrinfo) -> bool:
    """Return whether there is no such name, as far as the name service knows.

    libcurl has the same words for a name that isn't there and for a name service that says "try again".
    """
    try:
        resolve(host, None)
    except socket.gaierror as error:
        return is_no_name(error)
    except OSError:
        return False
    return False
