"""Declarative requests over libcurl: what a handle is told for a parameter, and what its answer means.

Each option's meaning is in libcurl's manual, https://curl.se/libcurl/c/curl_easy_setopt.html.
"""

from __future__ import annotations

import io
import os
import re
import socket
from collections.abc import Callable, Mapping
from http.client import responses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import msgspec
import pycurl
from requests import PreparedRequest, RequestException
from requests.structures import CaseInsensitiveDict
from requests.utils import prepend_scheme_if_needed, requote_uri, select_proxy

from airflow_fanout.causes import shown
from airflow_fanout.codec import Json
from airflow_fanout.endpoint import Endpoint
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.engine.transport.answer import Reading
from airflow_fanout.engine.transport.unanswered import (
    Resolve,
    cause_of_code,
    is_unknown,
    is_unprocessed,
    is_unsent,
    refused_by_proxy,
    says_refused,
)
from airflow_fanout.outcome import Cause, Failure, Kind, Outcome
from airflow_fanout.request import Compiled, Request
from airflow_fanout.settings import FetchSettings

USER_AGENT = f"airflow-fanout (libcurl/{pycurl.version_info()[1]})"
# Python's own http.client takes so many headers, and both transports shall take the same.
MOST_HEADERS = 100

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AUTH = {"basic": pycurl.HTTPAUTH_BASIC, "digest": pycurl.HTTPAUTH_DIGEST}
_HEADER = re.compile(r"[^:\s][^:\r\n\0]*:(?:[^\s\0][^\r\n\0]*)?")
_LOCATION = re.compile(rb"(?im)^location:")
# RFC 3986, 2: what a URL may be made of.
_URL = re.compile(r"[\w!#$&'()*+,/:;=?@\[\]~.-]*(?:%[0-9A-Fa-f]{2}[\w!#$&'()*+,/:;=?@\[\]~.-]*)*", re.ASCII)

# CURLE_PROXY, for which pycurl has no name.
_PROXY_FAILED = 97
# The names are those that the same failures have in requests. What isn't here is a broken connection.
_FAILURES = {
    pycurl.E_URL_MALFORMAT: (Kind.ERROR, "InvalidURL"),
    pycurl.E_BAD_CONTENT_ENCODING: (Kind.INVALID, "ContentDecodingError"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: (Kind.INVALID, "InvalidHeader"),
    pycurl.E_PARTIAL_FILE: (Kind.CONNECTION_ERROR, "ChunkedEncodingError"),
    pycurl.E_COULDNT_RESOLVE_PROXY: (Kind.CONNECTION_ERROR, "ProxyError"),
    _PROXY_FAILED: (Kind.CONNECTION_ERROR, "ProxyError"),
    pycurl.E_SSL_CONNECT_ERROR: (Kind.CONNECTION_ERROR, "SSLError"),
    pycurl.E_PEER_FAILED_VERIFICATION: (Kind.CONNECTION_ERROR, "SSLError"),
    pycurl.E_SSL_CERTPROBLEM: (Kind.CONNECTION_ERROR, "SSLError"),
    pycurl.E_SSL_CACERT_BADFILE: (Kind.CONNECTION_ERROR, "SSLError"),
}
# Our own callback has refused more of the body, or its announced length is too much already.
_TOO_LARGE = frozenset({pycurl.E_WRITE_ERROR, pycurl.E_FILESIZE_EXCEEDED})
# How a kept connection fails that its server has closed meanwhile; the last is how libcurl refuses to send twice.
_DIED = frozenset({pycurl.E_GOT_NOTHING, pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR, pycurl.E_SEND_FAIL_REWIND})
# A connection that was idle for longer, in seconds, may be one that its server is about to close.
_FRESH_S = 2
_PROXY_REFUSES = 407
_OWN_CONNECTION = {pycurl.FRESH_CONNECT: 1, pycurl.FORBID_REUSE: 1}


class Transfer:
    """A handle with what it receives; used again for one request after the other.

    :param easy: the handle.
    :param most: the largest body, in bytes.

    `told` are the request's own headers that the handle knows of. `heard_s` is the moment of the last look at which
    more of the bodies had gone out or come in. `refused` says that the server has refused the request's stream.
    """

    __slots__ = ("body", "easy", "heard_s", "lines", "most", "moved", "refused", "size", "told")

    def __init__(self, easy: Any, most: int) -> None:
        self.easy = easy
        self.body: list[bytes] = []
        self.lines: list[bytes] = []
        self.size = 0
        self.most = most
        self.heard_s = 0.0
        self.moved = 0
        self.told: Mapping[str, str] | None = None
        self.refused = False
        self.easy.setopt(pycurl.WRITEFUNCTION, self._receive)
        self.easy.setopt(pycurl.HEADERFUNCTION, self.lines.append)

    @property
    def status(self) -> int:
        """The answer's HTTP status."""
        return int(self.easy.getinfo(pycurl.RESPONSE_CODE))

    @property
    def head(self) -> list[bytes]:
        """The answer's status line and headers, without those of a proxy's or of a challenge before it."""
        starts = [place for place, line in enumerate(self.lines) if line.startswith(b"HTTP/")]
        return self.lines[starts[-1] :] if starts else self.lines

    @property
    def is_flooded(self) -> bool:
        """Whether the answer has more headers than anybody needs."""
        # A status line and an empty one are no headers.
        return len(self.head) > MOST_HEADERS + 2

    def clear(self) -> None:
        """Forget the last answer."""
        self.body.clear()
        self.lines.clear()
        self.size = 0
        self.heard_s = 0.0
        self.moved = 0
        self.refused = False

    def hear(self, kind: int, text: bytes) -> None:
        """Hear what libcurl says of its own doing (CURLOPT_DEBUGFUNCTION)."""
        self.refused = self.refused or says_refused(kind, text)

    def look(self, now_s: float) -> None:
        """Look whether more of the bodies has gone out or come in."""
        moved = self.easy.getinfo(pycurl.SIZE_UPLOAD_T) + self.size
        if moved != self.moved:
            self.moved, self.heard_s = moved, now_s

    def _receive(self, data: bytes) -> int | None:
        self.size += len(data)
        if self.size > self.most:
            return -1
        self.body.append(data)
        return None


class CurlTransport:
    """Tells handles what a declarative request says, and takes the result out of their answers.

    :param endpoint: where the requests go; what the environment says of it is settled already.
    :param request: the request.
    :param known: the fields that every parameter has.
    :param settings: time limits and the largest answer.
    :param easy: makes a handle.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request: Request,
        known: tuple[str, ...],
        settings: FetchSettings,
        easy: Callable[[], Any] = pycurl.Curl,
    ) -> None:
        self._easy = easy
        self._endpoint = endpoint
        self._compiled = Compiled(request, known)
        self._reading = Reading(request)
        self._settings = settings
        self._base = f"{_international(endpoint.base_url)}/"
        # Fields are encoded already; what the author has written into the path may be anything. (A literal "%4" before
        # a field isn't known to be right: no digit stands for the field.)
        self._is_right = _URL.fullmatch(self._base + "~".join(self._compiled.literals)) is not None
        self._headers = _Headers(endpoint, has_body=request.has_body)
        self.repeatable = request.is_repeatable
        self._options = _options(endpoint, request, settings)
        self._proxy = shown(str(self._options[pycurl.PROXY]))
        # Over https the server may speak HTTP/2, and refuse a stream, of which only libcurl's own words tell.
        self._hears = not self.repeatable and self._base.startswith("https")
        self._keeps = True

    def new_transfer(self) -> Transfer:
        """Return a handle that knows all that is the same for each parameter."""
        transfer = Transfer(self._easy(), self._settings.max_body_bytes)
        for option, value in self._options.items():
            transfer.easy.setopt(option, value)
        if self._hears:
            transfer.easy.setopt(pycurl.DEBUGFUNCTION, transfer.hear)
            transfer.easy.setopt(pycurl.VERBOSE, 1)
        return transfer

    def prepare(self, transfer: Transfer, parameter: Json) -> None:
        """Tell a handle a parameter's request.

        :raises ValueError: when the parameter's value can't stand where the request puts it.
        """
        target, headers, body = self._compiled.parts(parameter)
        url = self._base + target.removeprefix("/")
        if not self._is_right and not _URL.fullmatch(url):
            url = requote_uri(url)
        if headers is not transfer.told:
            transfer.easy.setopt(pycurl.HTTPHEADER, self._headers.lines(headers))
            transfer.told = headers
        transfer.easy.setopt(pycurl.URL, url.encode("ascii"))
        if body is not None:
            if self.repeatable:
                transfer.easy.setopt(pycurl.POSTFIELDS, body)
            else:
                self._tell_once(transfer.easy, body)

    def _tell_once(self, easy: Any, body: bytes) -> None:
        # On a kept connection that dies before an answer, libcurl sends a request again by itself, unless it would have
        # to begin again with a body that is read from a function.
        easy.setopt(pycurl.READFUNCTION, io.BytesIO(body).read)
        easy.setopt(pycurl.POSTFIELDSIZE_LARGE, len(body))
        if not self._keeps:
            _use_once(easy)

    def outcome(self, transfer: Transfer, code: int, message: str) -> Outcome | None:
        """Return what came of a transfer that ended with libcurl's code; 0 is an answer.

        `None` for an answer that leads to another address, and is to be followed.
        """
        if code:
            return self._failed(transfer, code, message)
        # Most answers have few headers: the look is short before it is exact.
        if len(transfer.lines) > MOST_HEADERS and transfer.is_flooded:
            failure = Failure("ConnectionError", f"got more than {MOST_HEADERS} headers")
            return Outcome(Kind.CONNECTION_ERROR, failure=failure)
        status = transfer.easy.getinfo(pycurl.RESPONSE_CODE)
        if 200 <= status < 300:
            return self._reading.good(status, b"".join(transfer.body), _limits(transfer))
        if self._redirects(transfer, status):
            return None
        if status == _PROXY_REFUSES and self._proxy:
            return refused_by_proxy(self._proxy, _reason(status, transfer.head))
        return self._reading.bad(status, _reason(status, transfer.head), _limits(transfer))

    def checked(self, outcome: Outcome, resolve: Resolve = socket.getaddrinfo) -> Outcome:
        """Return a failure whose cause is sure: of a name that can't be looked up, libcurl doesn't say why.

        :param resolve: looks a name up, as `socket.getaddrinfo` does.
        """
        hosts = {Cause.UNKNOWN_HOST: self._base, Cause.UNKNOWN_PROXY: self._proxy}
        address = outcome.cause and hosts.get(outcome.cause)
        if not address or is_unknown(urlsplit(address).hostname or "", resolve):
            return outcome
        return msgspec.structs.replace(outcome, cause=None)

    def _redirects(self, transfer: Transfer, status: int) -> bool:
        return (
            self._endpoint.allow_redirects
            and status in _REDIRECTS
            and _LOCATION.search(b"".join(transfer.head)) is not None
        )

    def silent(self, transfer: Transfer, begun_s: float, now_s: float) -> Outcome | None:
        """Return the outcome of a transfer whose server says nothing for too long; `None` if it may still."""
        read_s = self._settings.timeouts.read_s
        transfer.look(now_s)
        if now_s - max(begun_s, transfer.heard_s) < read_s:
            return None
        asked_s = transfer.easy.getinfo(pycurl.PRETRANSFER_TIME)
        # Until the connection stands it is the other time limit that counts.
        if not asked_s or now_s - max(begun_s + asked_s, transfer.heard_s) < read_s:
            return None
        return Outcome(Kind.TIMEOUT, failure=Failure("ReadTimeout", f"Read timed out. (read timeout={read_s:g})"))

    def _failed(self, transfer: Transfer, code: int, message: str) -> Outcome:
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return self._timed_out(transfer, message)
        if code in _TOO_LARGE:
            text = f"the answer is larger than {self._settings.max_body_bytes:,} bytes (max_body_bytes)"
            return Outcome(Kind.INVALID, failure=Failure("BodyTooLarge", text))
        if not self.repeatable and code in _DIED and not transfer.easy.getinfo(pycurl.NUM_CONNECTS):
            # This server closes connections that it lets others keep: from now on each request has its own.
            self._keeps = False
        proxy_status = int(transfer.easy.getinfo(pycurl.HTTP_CONNECTCODE)) if self._proxy else 0
        if proxy_status == _PROXY_REFUSES:
            return refused_by_proxy(self._proxy, message)
        kind, name = _FAILURES.get(code, (Kind.CONNECTION_ERROR, "ConnectionError"))
        words = _words(transfer, code, message)
        if proxy_status:
            name, words = "ProxyError", f"the proxy {self._proxy}: {words}"
        return Outcome(
            kind,
            failure=Failure(name, words),
            garbled=code == pycurl.E_BAD_CONTENT_ENCODING,
            unsent=is_unsent(transfer.easy),
            unprocessed=transfer.refused or (self.repeatable and is_unprocessed(message)),
            cause=cause_of_code(code, message),
        )

    def _timed_out(self, transfer: Transfer, message: str) -> Outcome:
        timeouts = self._settings.timeouts
        unsent = is_unsent(transfer.easy)
        if not transfer.easy.getinfo(pycurl.PRETRANSFER_TIME) and timeouts.connect_s < timeouts.total_s:
            return Outcome(Kind.TIMEOUT, failure=Failure("ConnectTimeout", message), unsent=unsent)
        return msgspec.structs.replace(timed_out(timeouts.total_s), unsent=unsent)


class _Headers:
    """The header lines of a request: the connection's and its own, which win, as `requests` would send them."""

    def __init__(self, endpoint: Endpoint, *, has_body: bool) -> None:
        self._usual = dict(endpoint.headers)
        # libcurl would wait for the server's leave to send a large body, and call an empty one a form.
        self._own = ("Expect",) if has_body else ("Expect", "Content-Type")
        self._token = endpoint.password or "" if endpoint.auth == "bearer" else None
        # Credentials win over a header, and the length is libcurl's to say.
        has_credentials = self._token is not None or endpoint.login is not None
        self._left_out = {"content-length", "authorization"} if has_credentials else {"content-length"}

    def lines(self, headers: Mapping[str, str]) -> list[bytes]:
        """Return the lines for a request's own headers; raise `ValueError` for a header that can't be one."""
        merged = {name.lower(): (name, text) for name, text in (*self._usual.items(), *headers.items())}
        lines = [_line(*pair) for name, pair in merged.items() if name not in self._left_out]
        if self._token is not None:
            lines.append(_line("Authorization", f"Bearer {self._token}"))
        return lines + [f"{name}:".encode() for name in self._own if name.lower() not in merged]


def _line(name: str, text: str) -> bytes:
    # libcurl would put a line break on the wire, where it makes another header, or another request. What stands in the
    # header may be a secret: the message says only whose it is.
    if not _HEADER.fullmatch(f"{name}:{text}"):
        raise ValueError(f"the header {name!r} can't be sent: a line break, or white space at its beginning, is in it")
    # To libcurl a name without a text means that the header is not sent, but for a semicolon.
    return (f"{name}: {text}" if text else f"{name};").encode("latin-1")


def _options(endpoint: Endpoint, request: Request, settings: FetchSettings) -> dict[int, Any]:
    return {
        pycurl.NOSIGNAL: 1,
        pycurl.USERAGENT: USER_AGENT,
        pycurl.ACCEPT_ENCODING: "",
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
        pycurl.CONNECTTIMEOUT_MS: _ms(settings.timeouts.connect_s),
        pycurl.TIMEOUT_MS: _ms(settings.timeouts.total_s),
        pycurl.MAXFILESIZE_LARGE: settings.max_body_bytes,
        **_method_options(request),
        **tls_options(endpoint),
        **_auth_options(endpoint),
        **_proxy_options(endpoint),
    }


def _method_options(request: Request) -> dict[int, Any]:
    options: dict[int, Any] = {pycurl.HTTPGET: 1}
    if request.method != "GET" or request.has_body:
        options = {pycurl.CUSTOMREQUEST: request.method}
        if request.method != "DELETE" or request.has_body:
            options[pycurl.POSTFIELDS] = b""
    if request.is_repeatable:
        return options
    if not request.has_body:
        # There is no body that libcurl would have to begin again with: only a connection of its own is sent on once.
        return options | _OWN_CONNECTION
    options.pop(pycurl.POSTFIELDS)
    return options | {pycurl.POST: 1, pycurl.MAXAGE_CONN: _FRESH_S}


def _use_once(easy: Any) -> None:
    for option, value in _OWN_CONNECTION.items():
        easy.setopt(option, value)


def tls_options(endpoint: Endpoint) -> dict[int, Any]:
    """Return what a handle is told of certificates: whose it believes, and its own."""
    if not endpoint.verify:
        checked: dict[int, Any] = {pycurl.SSL_VERIFYPEER: 0, pycurl.SSL_VERIFYHOST: 0}
    else:
        known = endpoint.verify if isinstance(endpoint.verify, str) else certifi.where()
        where = pycurl.CAPATH if Path(known).is_dir() else pycurl.CAINFO
        checked = {pycurl.SSL_VERIFYPEER: 1, pycurl.SSL_VERIFYHOST: 2, where: known}
    if endpoint.cert is None:
        return checked
    cert, key = endpoint.cert if isinstance(endpoint.cert, tuple) else (endpoint.cert, endpoint.cert)
    return checked | {pycurl.SSLCERT: cert, pycurl.SSLKEY: key}


def _auth_options(endpoint: Endpoint) -> dict[int, Any]:
    if endpoint.login is None or endpoint.auth == "bearer":
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


def _proxy_options(endpoint: Endpoint) -> dict[int, Any]:
    proxy = select_proxy(endpoint.base_url, dict(endpoint.proxies))
    # An empty text says that there is none; left out, libcurl would look into the environment by itself.
    address = prepend_scheme_if_needed(proxy, "http") if proxy else ""  # type: ignore[no-untyped-call] # requests leaves it without types
    return {pycurl.PROXY: address, pycurl.NOPROXY: ""}


def _international(base_url: str) -> str:
    """Return the base address in ASCII: the wheel's libcurl knows no international names."""
    prepared = PreparedRequest()
    try:
        prepared.prepare_url(base_url, None)
    except RequestException:
        # libcurl will say of each parameter's request that it is none.
        return requote_uri(base_url)
    return (prepared.url or "").rstrip("/") if not base_url.isascii() else base_url


def _limits(transfer: Transfer) -> Mapping[str, str]:
    # Looked for as two plain texts, which takes a quarter of an expression's time.
    lines = b"".join(transfer.lines).lower()
    if b"ratelimit" not in lines and b"retry-after" not in lines:
        return {}
    pairs = (line.partition(":") for line in b"".join(transfer.head).decode("latin-1").splitlines())
    return CaseInsensitiveDict((name.strip(), value.strip()) for name, _, value in pairs)


def _reason(status: int, head: list[bytes]) -> str:
    # HTTP/2 has no words for a status.
    if head and head[0].startswith(b"HTTP/1"):
        return head[0].decode("latin-1").rstrip().partition(" ")[2].partition(" ")[2]
    return responses.get(status, "")


def _words(transfer: Transfer, code: int, message: str) -> str:
    if code == pycurl.E_COULDNT_CONNECT and (number := transfer.easy.getinfo(pycurl.OS_ERRNO)):
        return f"{message} ({os.strerror(number)})"
    if code == pycurl.E_BAD_CONTENT_ENCODING:
        found = [line for line in transfer.head if line.lower().startswith(b"content-encoding:")]
        return f"{message} ({b''.join(found).decode('latin-1').strip()})"
    return message


def _ms(seconds: float) -> int:
    # Beyond that libcurl's own numbers overflow, and nobody waits for eleven days.
    return max(1, round(min(seconds, 1e6) * 1000))
