"""What requests makes of a plain call, without its detours: the same address, headers and body, or no answer at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from requests import PreparedRequest, RequestException
from requests.cookies import RequestsCookieJar
from requests.sessions import merge_setting
from requests.structures import CaseInsensitiveDict

from airflow_fanout.engine.function_session.message import METHODS

# What a plain call may say; another option says nothing if it is `None`.
_PLAIN = frozenset({"params", "data", "json", "headers", "auth", "timeout", "allow_redirects"})
# What requests takes as it is: nothing to be encoded or decoded (RFC 3986, 2.3), no dots for segments, no fragment.
_ENCODED = r"%(?:[01][0-9A-F]|2[0-9A-CF]|3[A-F]|40|5[B-E]|60|7[B-DF]|[89A-F][0-9A-F])"
_TARGET = re.compile(
    rf"(?!.*/\.)/(?:[\w!$&'()*+,:;=@~./-]|{_ENCODED})*(?:\?(?:[\w!$&'()*+,:;=@~./?-]|{_ENCODED})+)?", re.ASCII
)
# Whoever sends the same headers again needn't have them looked at again.
_REMEMBERED = 256
_Pairs = tuple[tuple[str, str], ...]


class Preparation:
    """Prepares plain calls to addresses below a base address.

    :param base_url: the connection's address.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._prepared_base = _prepared_base(base_url)

    def prepare(
        self, method: str, address: str, options: Mapping[str, Any], usual: Mapping[str, Any]
    ) -> PreparedRequest | None:
        """Return the request that requests would make of a call, `None` for a call that isn't plain.

        :param options: the call's, as `Session.request` takes them; its `auth` adds no hooks.
        :param usual: the session's own headers.
        """
        if not self._is_plain(method, address, options):
            return None
        url = self._url(address, options.get("params"))
        headers = _headers(usual, options.get("headers"))
        if url is None or headers is None:
            return None
        return _request(method, url, headers, options)

    def _is_plain(self, method: str, address: str, options: Mapping[str, Any]) -> bool:
        return (
            bool(self._prepared_base)
            and address.startswith(self._base_url)
            and method in METHODS
            and all(value is None or name in _PLAIN for name, value in options.items())
            and isinstance(options.get("params"), dict | None)
            and isinstance(options.get("data"), dict | list | str | bytes | None)
        )

    def _url(self, address: str, params: Mapping[str, Any] | None) -> str | None:
        target = address.removeprefix(self._base_url)
        if not _TARGET.fullmatch(target):
            return None
        if not params:
            return f"{self._prepared_base}{target}"
        if all(type(name) is str and type(value) in (str, int) for name, value in params.items()):
            query = urlencode(params)
        else:
            query = str(PreparedRequest._encode_params(params))  # type: ignore[attr-defined] # requests' own way
        return f"{self._prepared_base}{target}{('&' if '?' in target else '?') + query if query else ''}"


def _request(method: str, url: str, headers: CaseInsensitiveDict[str], options: Mapping[str, Any]) -> PreparedRequest:
    request = PreparedRequest()
    request.method, request.url, request.headers = method, url, headers
    request._cookies = RequestsCookieJar()  # type: ignore[attr-defined] # redirects look for it
    data, json, auth = options.get("data"), options.get("json"), options.get("auth")
    if data or json is not None or method not in ("GET", "HEAD"):
        request.prepare_body(data or {}, None, json)
    if auth is not None:
        request.prepare_auth(auth)
    return request


def _headers(usual: Mapping[str, Any], own: Mapping[str, Any] | None) -> CaseInsensitiveDict[str] | None:
    if not isinstance(own, dict | None):
        return None
    ours, theirs = tuple(usual.items()), tuple((own or {}).items())
    if not all(type(name) is type(text) is str for name, text in (*ours, *theirs)):
        return None
    return _merged(ours, theirs).copy()


@lru_cache(_REMEMBERED)
def _merged(ours: _Pairs, theirs: _Pairs) -> CaseInsensitiveDict[str]:
    request = PreparedRequest()
    merged = merge_setting(dict(theirs), CaseInsensitiveDict(ours), dict_class=CaseInsensitiveDict)  # type: ignore[no-untyped-call] # it has no types
    request.prepare_headers(merged)
    return request.headers


def _prepared_base(base_url: str) -> str:
    """Return how the prepared addresses below a base address begin; nothing if there is more to it than that."""
    request = PreparedRequest()
    try:
        request.prepare_url(f"{base_url}/x", None)
    except RequestException:
        return ""
    prepared = request.url or ""
    is_plain = prepared.startswith("http") and prepared.endswith("/x") and not set("@?#") & set(base_url)
    return prepared.removesuffix("/x") if is_plain else ""
