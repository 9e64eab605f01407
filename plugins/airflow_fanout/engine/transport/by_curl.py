"""Declarative requests over libcurl: the options of a parameter's handle, and what its answer means.

Each option's meaning is in libcurl's manual, https://curl.se/libcurl/c/curl_easy_setopt.html.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pycurl
from requests.structures import CaseInsensitiveDict
from requests.utils import requote_uri

from airflow_fanout.api.access import REFUSED
from airflow_fanout.api.causes import is_tls_refused, shown
from airflow_fanout.api.compiled import Compiled
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.libcurl.address import URL, in_ascii
from airflow_fanout.engine.libcurl.options import OWN_CONNECTION
from airflow_fanout.engine.libcurl.silence import is_silent
from airflow_fanout.engine.libcurl.transfer import TOO_LARGE, Transfer, Unreadable, is_bad_header, too_large_text
from airflow_fanout.engine.libcurl.unanswered import GAVE_UP, Resolve, cause_of, is_unknown, is_unsent, refused_by_proxy
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.engine.transport.curl_failures import (
    DIED,
    FAILURES,
    decoded_body,
    early,
    reason_in,
    unreadable,
    words_of,
)
from airflow_fanout.engine.transport.introduction import Introduction
from airflow_fanout.engine.transport.options import options_of
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Cause, Failure, Kind, Outcome
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.privacy.redaction import Secrets
from airflow_fanout.wire.head import MOST_HEADERS, read_head

# How the head of most answers begins.
_USUAL = b"HTTP/1.1 200"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_PROXY_REFUSES = 407


class CurlTransport:
    """Tells handles what a declarative request says, and takes the result out of their answers.

    :param endpoint: where the requests go; what the environment says of it is settled already.
    :param request: the request.
    :param known: the fields that every parameter has.
    :param settings: time limits and the largest answer.
    :param easy: makes a handle.
    :param compiled: the request as it was read already, if it was.
    :param secrets: what is taken out of the messages of the author's exceptions.
    :param access: says whether a refused request is worth repeating with newer credentials; `None` if there are none.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request: Request,
        known: tuple[str, ...],
        settings: FetchSettings,
        easy: Callable[[], Any] = pycurl.Curl,
        secrets: Secrets = NO_SECRETS,
        compiled: Compiled | None = None,
        access: EngineAccess | None = None,
    ) -> None:
        self._easy = easy
        self._endpoint = endpoint
        self._compiled = compiled or Compiled(request, known)
        self._reading = reader_of(request, settings.max_body_bytes, secrets)
        self._settings = settings
        self._too_large = too_large_text(settings.max_body_bytes)
        self._base = f"{in_ascii(endpoint.base_url)}/"
        # Fields are encoded already; what the author has written into the path may be anything. (A literal "%4" before
        # a field isn't known to be right: no digit stands for the field.)
        self._is_right = URL.fullmatch(self._base + "~".join(self._compiled.literals)) is not None
        self._introduction = Introduction(endpoint, request, self._compiled.parts, access)
        self.repeatable = request.is_repeatable
        self._options = options_of(endpoint, request, settings)
        self._proxy = shown(str(self._options[pycurl.PROXY]))
        self._is_over_tls = "https" in {urlsplit(self._base).scheme, urlsplit(str(self._options[pycurl.PROXY])).scheme}
        self._keeps = True
        # What is neither compressed nor in another charset, and says nothing of limits, is read without a closer look.
        self._usual = b"" if 200 in request.null_statuses else _USUAL

    def new_transfer(self) -> Transfer:
        """Return a handle that knows all that is the same for each parameter."""
        transfer = Transfer(self._easy(), self._settings.max_body_bytes, over_tls=self._is_over_tls)
        self._introduction.know(transfer)
        for option, value in self._options.items():
            transfer.easy.setopt(option, value)
        if self._is_over_tls and not self.repeatable:
            # Only libcurl's own words say whether a stream was refused (HTTP/2); they cost time.
            transfer.easy.setopt(pycurl.DEBUGFUNCTION, transfer.hear)
            transfer.easy.setopt(pycurl.VERBOSE, 1)
        return transfer

    def prepare(self, transfer: Transfer, task: Task) -> None:
        """Tell a handle a task's request.

        :raises ValueError: when the parameter's value can't stand where the request puts it.
        """
        target, headers, body = self._introduction.parts(task.parameter)
        url = self._base + target.removeprefix("/")
        if not self._is_right and not URL.fullmatch(url):
            url = requote_uri(url)
        if headers is not transfer.told:
            self._introduction.introduce(transfer, headers)
        transfer.easy.setopt(pycurl.URL, url.encode("ascii"))
        if body is not None:
            self.tell_body(transfer, body)

    def tell_body(self, transfer: Transfer, body: bytes) -> None:
        """Tell a handle the body of its next request."""
        if self.repeatable:
            transfer.easy.setopt(pycurl.POSTFIELDS, body)
            return
        # On a kept connection that dies before an answer, libcurl sends a request again by itself, unless it would have
        # to begin again with a body that is read from a function.
        transfer.easy.setopt(pycurl.READFUNCTION, io.BytesIO(body).read)
        transfer.easy.setopt(pycurl.POSTFIELDSIZE_LARGE, len(body))
        if not self._keeps:
            for option, value in OWN_CONNECTION.items():
                transfer.easy.setopt(option, value)

    def outcome(self, transfer: Transfer, code: int, message: str) -> Outcome | None:
        """Return what came of a transfer that ended with libcurl's code; 0 is an answer.

        `None` for an answer that leads to another address, and is to be followed.
        """
        if code:
            return self._failed(transfer, code, message)
        lines = transfer.lines
        # Most answers have few headers, and nothing special in them: a few looks are enough.
        if lines[0][:12] == self._usual and lines[-1] == b"\r\n" and len(lines) <= MOST_HEADERS:
            # Looked for as plain texts, which takes a quarter of an expression's time.
            head = b"".join(lines).lower()
            if not (
                b"-encoding" in head
                or b"ratelimit" in head
                or b"retry-after" in head
                or (b"charset" in head and b"charset=utf-8" not in head)
            ):
                return self._reading.plain(b"".join(transfer.body))
        return self._looked_at(transfer)

    def _looked_at(self, transfer: Transfer) -> Outcome | None:
        """Return what came of any answer, `None` for one that is to be followed."""
        if outcome := early(transfer, repeatable=self.repeatable):
            return outcome
        transfer.refused = False
        try:
            head = transfer.checked_head()
            body = transfer.whole_body(head)
            headers = CaseInsensitiveDict(read_head(head).headers)
            if transfer.status in _REDIRECTS and self._endpoint.allow_redirects and headers.get("Location"):
                return None
            if coding := headers.get("Content-Encoding"):
                body = decoded_body(coding, body, self._settings.max_body_bytes)
        except Unreadable as error:
            return Outcome(error.kind, failure=Failure(error.name, error.message), garbled=error.garbled)
        if transfer.status == _PROXY_REFUSES and self._proxy:
            return refused_by_proxy(self._proxy, reason_in(transfer.status, head))
        reason = reason_in(transfer.status, head)
        if transfer.status == REFUSED and self._introduction.is_outdated(transfer):
            failure = Failure("HTTPError", f"HTTP {REFUSED} {reason}".rstrip())
            return Outcome(Kind.HTTP_ERROR, status=REFUSED, failure=failure, outdated=True)
        return self._reading.outcome(transfer.status, reason, body, headers)

    def checked(self, outcome: Outcome, resolve: Resolve = socket.getaddrinfo) -> Outcome:
        """Return a failure whose cause is sure: of a name that can't be looked up, libcurl doesn't say why.

        :param resolve: looks a name up, as `socket.getaddrinfo` does.
        """
        hosts = {Cause.UNKNOWN_HOST: self._base, Cause.UNKNOWN_PROXY: self._proxy}
        address = outcome.cause and hosts.get(outcome.cause)
        if not address or is_unknown(urlsplit(address).hostname or "", resolve):
            return outcome
        return msgspec.structs.replace(outcome, cause=None)

    def silent(self, transfer: Transfer, begun_s: float, now_s: float) -> Outcome | None:
        """Return the outcome of a transfer whose server says nothing for too long; `None` if it may still."""
        read_s = self._settings.timeouts.read_s
        if not is_silent(transfer, begun_s, now_s, read_s):
            return None
        return unreadable(transfer) or Outcome(
            Kind.TIMEOUT, failure=Failure("ReadTimeout", f"Read timed out. (read timeout={read_s:g})")
        )

    def _failed(self, transfer: Transfer, code: int, message: str) -> Outcome:
        if outcome := early(transfer, repeatable=self.repeatable) or unreadable(transfer):
            return outcome
        if code == pycurl.E_OPERATION_TIMEDOUT:
            timeouts, unsent = self._settings.timeouts, is_unsent(transfer.easy)
            if not transfer.easy.getinfo(pycurl.PRETRANSFER_TIME) and timeouts.connect_s < timeouts.total_s:
                return Outcome(Kind.TIMEOUT, failure=Failure("ConnectTimeout", message), unsent=unsent)
            return msgspec.structs.replace(timed_out(timeouts.total_s), unsent=unsent)
        if code in TOO_LARGE:
            return Outcome(Kind.INVALID, failure=Failure("BodyTooLarge", self._too_large))
        if is_bad_header(code, in_head=transfer.is_in_head):
            return Outcome(Kind.INVALID, failure=Failure("InvalidHeader", message))
        return self._unanswered(transfer, code, message)

    def _unanswered(self, transfer: Transfer, code: int, message: str) -> Outcome:
        if not self.repeatable and code in DIED and not transfer.easy.getinfo(pycurl.NUM_CONNECTS):
            # This server closes connections that it lets others keep: from now on each request has its own.
            self._keeps = False
        proxy_status = int(transfer.easy.getinfo(pycurl.HTTP_CONNECTCODE)) if self._proxy else 0
        if proxy_status == _PROXY_REFUSES:
            return refused_by_proxy(self._proxy, message)
        kind, name = FAILURES.get(code, (Kind.CONNECTION_ERROR, "ConnectionError"))
        words = words_of(transfer, code, message)
        # The handle's next request may fail before it is sent.
        is_refused, transfer.refused = transfer.refused, False
        if proxy_status:
            name, words = "ProxyError", f"the proxy {self._proxy}: {words}"
        return Outcome(
            kind,
            failure=Failure(name, words),
            garbled=code == pycurl.E_BAD_CONTENT_ENCODING,
            unsent=is_unsent(transfer.easy),
            # What may be sent twice libcurl has sent again by itself.
            unprocessed=message.startswith(GAVE_UP) if self.repeatable else is_refused,
            cause=cause_of(transfer.easy, code) or (Cause.TLS if is_tls_refused(message) else None),
        )
