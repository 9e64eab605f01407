"""The options that every handle has, and header lines as libcurl takes them.

Each option's meaning is in libcurl's manual, https://curl.se/libcurl/c/curl_easy_setopt.html.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import certifi
import pycurl

from airflow_fanout.api.endpoint import Endpoint

# A connection that no other request uses, before or after.
OWN_CONNECTION: dict[int, Any] = {pycurl.FRESH_CONNECT: 1, pycurl.FORBID_REUSE: 1}
# libcurl's own numbers have an end, and nobody waits for eleven days.
FOREVER_S = 1e6

_HEADER = re.compile(r"[^:\s][^:\r\n\0]*:(?:[^\s\0][^\r\n\0]*)?")


def common_options(endpoint: Endpoint, max_body_bytes: int) -> dict[int, Any]:
    """Return the options of all requests to a connection."""
    return {
        pycurl.NOSIGNAL: 1,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.MAXFILESIZE_LARGE: max_body_bytes,
        # Chunks are taken apart here, so that it shows what comes after them.
        pycurl.HTTP_TRANSFER_DECODING: 0,
        # Left out, libcurl would look into the environment by itself.
        pycurl.PROXY: "",
        **_tls_options(endpoint),
    }


def ms(seconds: float | None) -> int:
    """Return a time limit in milliseconds, as libcurl takes it; `None` is no limit."""
    return max(1, round(min(FOREVER_S if seconds is None else seconds, FOREVER_S) * 1000))


def header_line(name: str, text: str) -> bytes:
    """Return a header's line.

    :raises ValueError: when libcurl would send another header, or several. It doesn't show the text.
    """
    # libcurl would put a line break on the wire, where it makes another header, or another request. What stands in the
    # header may be a secret: the message says only whose it is.
    if not _HEADER.fullmatch(f"{name}:{text}"):
        raise ValueError(f"the header {name!r} can't be sent: a line break, or white space at its beginning, is in it")
    # To libcurl a name without a text means that the header is not sent, but for a semicolon.
    return (f"{name}: {text}" if text else f"{name};").encode("latin-1")


def left_out(name: str) -> bytes:
    """Return the line that keeps libcurl from a header of its own."""
    return f"{name}:".encode()


def _tls_options(endpoint: Endpoint) -> dict[int, Any]:
    """Return the options for certificates: which it trusts, for a server and for a proxy, and its own."""
    if not endpoint.verify:
        checked: dict[int, Any] = {
            pycurl.SSL_VERIFYPEER: 0,
            pycurl.SSL_VERIFYHOST: 0,
            pycurl.PROXY_SSL_VERIFYPEER: 0,
            pycurl.PROXY_SSL_VERIFYHOST: 0,
        }
    else:
        known = endpoint.verify if isinstance(endpoint.verify, str) else certifi.where()
        is_folder = Path(known).is_dir()
        where = pycurl.CAPATH if is_folder else pycurl.CAINFO
        proxys = pycurl.PROXY_CAPATH if is_folder else pycurl.PROXY_CAINFO
        checked = {pycurl.SSL_VERIFYPEER: 1, pycurl.SSL_VERIFYHOST: 2, where: known, proxys: known}
    if endpoint.cert is None:
        return checked
    cert, key = endpoint.cert if isinstance(endpoint.cert, tuple) else (endpoint.cert, endpoint.cert)
    return checked | {pycurl.SSLCERT: cert, pycurl.SSLKEY: key}
