"""The options of a declarative request, and its header lines.

Each option's meaning is in libcurl's manual, https://curl.se/libcurl/c/curl_easy_setopt.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pycurl
from msgspec.structs import replace
from requests.structures import CaseInsensitiveDict
from requests.utils import prepend_scheme_if_needed, select_proxy

from airflow_fanout.api.auth import is_authorization
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.engine.libcurl.options import OWN_CONNECTION, common_options, header_line, left_out, ms
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.wire.adapter import closes
from airflow_fanout.wire.coding import ACCEPTED

USER_AGENT = f"airflow-fanout (libcurl/{pycurl.version_info()[1]})"

_AUTH = {"basic": pycurl.HTTPAUTH_BASIC, "digest": pycurl.HTTPAUTH_DIGEST}
# CURLOPT_SUPPRESS_CONNECT_HEADERS, for which pycurl has no name.
_SUPPRESS_CONNECT_HEADERS = 265
# A connection that was idle for longer, in seconds, may be one that its server is about to close.
_FRESH_S = 2


class Headers:
    """The header lines of a request: the connection's and its own, which win, as `requests` would send them."""

    def __init__(self, endpoint: Endpoint, *, has_body: bool, closes_its_connection: bool = False) -> None:
        self._usual = {"Accept-Encoding": ACCEPTED, **endpoint.headers}
        if closes_its_connection:
            self._usual["Connection"] = "close"
        # libcurl would wait for the server's leave to send a large body, and call an empty one a form.
        self._own = ("Expect",) if has_body else ("Expect", "Content-Type")
        self._token = endpoint.password or "" if endpoint.auth == "bearer" else None
        # Credentials win over a header, and the length is libcurl's to say.
        has_credentials = self._token is not None or (endpoint.login is not None and endpoint.auth in _AUTH)
        self._left_out = {"content-length", "authorization"} if has_credentials else {"content-length"}

    def lines(self, headers: Mapping[str, str]) -> list[bytes]:
        """Return the lines for a request's own headers; raise `ValueError` for a header that can't be one."""
        merged = {name.lower(): (name, text) for name, text in (*self._usual.items(), *headers.items())}
        lines = [header_line(*pair) for name, pair in merged.items() if name not in self._left_out]
        if self._token is not None:
            lines.append(header_line("Authorization", f"Bearer {self._token}"))
        return lines + [left_out(name) for name in self._own if name.lower() not in merged]


def options_of(endpoint: Endpoint, request: Request, settings: FetchSettings) -> dict[int, Any]:
    """Return the options of a declarative request that are the same for each parameter."""
    is_alone = request.own_connection or closes(CaseInsensitiveDict({**endpoint.headers, **request.headers}))
    proxy = select_proxy(endpoint.base_url, dict(endpoint.proxies))
    return {
        **common_options(endpoint, settings.max_body_bytes),
        pycurl.USERAGENT: USER_AGENT,
        _SUPPRESS_CONNECT_HEADERS: 1,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.CONNECTTIMEOUT_MS: ms(settings.timeouts.connect_s),
        pycurl.TIMEOUT_MS: ms(settings.timeouts.total_s),
        **method_options(request),
        **(OWN_CONNECTION if is_alone else {}),
        # An empty text says that there is none; left out, libcurl would look into the environment by itself.
        pycurl.PROXY: prepend_scheme_if_needed(proxy, "http") if proxy else "",  # type: ignore[no-untyped-call] # requests leaves it without types
        pycurl.NOPROXY: "",
    }


def method_options(request: Request) -> dict[int, Any]:
    """Return the options that say what a request does, and how often it may be sent."""
    options: dict[int, Any] = {pycurl.HTTPGET: 1}
    if request.method != "GET" or request.has_body:
        options = {pycurl.CUSTOMREQUEST: request.method}
        if request.method != "DELETE" or request.has_body:
            options[pycurl.POSTFIELDS] = b""
    if request.is_repeatable:
        return options
    if not request.has_body:
        # There is no body that libcurl would have to begin again with: only a connection of its own is sent on once.
        return options | OWN_CONNECTION
    options.pop(pycurl.POSTFIELDS)
    return options | {pycurl.POST: 1, pycurl.MAXAGE_CONN: _FRESH_S}


def auth_options(endpoint: Endpoint) -> dict[int, Any]:
    """Return the options for a login and a password; a token is in a header."""
    if endpoint.login is None or endpoint.auth not in _AUTH:
        return {}
    return {
        pycurl.HTTPAUTH: _AUTH[endpoint.auth],
        pycurl.USERNAME: _as_sent(endpoint.login),
        pycurl.PASSWORD: _as_sent(endpoint.password or ""),
    }


def _as_sent(text: str) -> bytes:
    # Latin-1 as requests has it; what that can't hold goes as UTF-8 (RFC 7617, 2.1).
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def without_credentials(endpoint: Endpoint, request: Request) -> Endpoint:
    """Return the endpoint without its credentials, if the request has a header of its own for them: that one wins."""
    if not any(is_authorization(name) for name in request.headers):
        return endpoint
    return replace(endpoint, login=None, password=None, auth="basic")
