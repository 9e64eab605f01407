"""The way of a session's requests over libcurl, as an adapter of requests'; what is unusual, requests sends itself."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import pycurl
import requests
from requests.cookies import extract_cookies_to_jar
from requests.utils import select_proxy

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.engine.function_session.exchange import Exchanges, TransferEnd
from airflow_fanout.engine.function_session.failures import UNSENT, Broken, failure_of, refused
from airflow_fanout.engine.function_session.message import Sending, sending_of
from airflow_fanout.engine.function_session.response import CurlResponse, raw_of
from airflow_fanout.engine.libcurl.options import FOREVER_S, OWN_CONNECTION, common_options, ms
from airflow_fanout.engine.libcurl.transfer import EARLY, TOO_LARGE, Transfer, Unreadable, too_large_text
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.wire.adapter import BodyTooLarge, BoundedAdapter, closes
from airflow_fanout.wire.head import read_head

# RFC 9110, section 9.2.2: sending one of these twice may make a difference.
UNREPEATABLE = frozenset({"POST", "PATCH"})
# A server whose answers are there before their requests again and again has a fault of its own.
MOST_REPEATED = 10


class CurlAdapter(BoundedAdapter):
    """Sends what is usual, to the connection's own origin, by libcurl, and everything else as requests does.

    It belongs to the thread that has made it; for others it sends as requests does.

    :param endpoint: the connection; what the environment says of it is settled already.
    :param settings: the largest answer, and how many connections there may be.
    :param note: takes a word about what is sent by requests, once.
    :param waits: whether what requests sends waits for a connection, as `BoundedAdapter` has it.
    """

    def __init__(
        self, endpoint: Endpoint, settings: FetchSettings, note: Callable[[str], None], *, waits: bool = True
    ) -> None:
        super().__init__(settings.concurrency, settings.max_body_bytes, waits=waits)
        self._endpoint = endpoint
        self._note: Callable[[str], None] | None = note
        self._most = settings.max_body_bytes
        self._origin = _origin(endpoint)
        self._exchanges = Exchanges(settings.concurrency)
        # A handle keeps its options: one that has sent a body can't be reused for a request without one.
        self._free: dict[tuple[str, bool], list[Transfer]] = {}
        self._options = {
            **common_options(endpoint, settings.max_body_bytes),
            # What requests speaks: in HTTP/2 no status has a reason, and all headers are in lower case.
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_1_1,
            pycurl.PATH_AS_IS: 1,
        }

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - requests' own signature
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request and return its answer; raise what requests would raise."""
        sending = None
        if not stream and self._is_usual(request, verify, cert, proxies):
            sending = sending_of(request, timeout)
        answer = None if sending is None else self._exchanged(sending, request)
        if answer is not None:
            return answer
        self.say_who_sends()
        return super().send(request, stream, timeout, verify, cert, proxies)

    def say_who_sends(self) -> None:
        """Say once that something is sent by requests."""
        if self._note is not None:
            self._note(
                "The slower `requests` library sends the calls that this session can't send by libcurl: those with an "
                "auth class, a hook, a stream, a file, the function's own adapter, a proxy, digest or another address."
            )
            self._note = None

    def close(self) -> None:
        """Close all connections."""
        super().close()
        self._exchanges.close()
        for transfers in self._free.values():
            for transfer in transfers:
                transfer.easy.close()
        self._free.clear()

    def _is_usual(
        self, request: requests.PreparedRequest, verify: Any, cert: Any, proxies: Mapping[str, str] | None
    ) -> bool:
        return (
            bool(self._origin)
            and (request.url or "").startswith(self._origin)
            and verify == self._endpoint.verify
            and cert == self._endpoint.cert
            and (proxies or {}) == self._endpoint.proxies
            # A hook may want to read the answer as it comes.
            and not request.hooks["response"]
            # It has a connection for itself.
            and not closes(request.headers)
            and self._exchanges.is_at_home
        )

    def _exchanged(self, sending: Sending, request: requests.PreparedRequest) -> requests.Response | None:
        """Return the answer, or `None` if nothing was sent, and requests knows better what to say of it."""
        transfer = self._told(sending)
        try:
            ended = self._ended(transfer, sending)
            if transfer.forget_early():
                raise requests.ConnectionError(EARLY, request=request)
            if ended.code and (complaint := transfer.complaint()):
                raise complaint
            if ended.code:
                return self._failed(ended, transfer, sending, request)
            return self._response(transfer, request)
        except Unreadable as error:
            raise refused(error, request) from None
        finally:
            # A free handle keeps no answer: a hundred large ones would be a lot of memory.
            transfer.clear()
            self._kept(sending).append(transfer)

    def _ended(self, transfer: Transfer, sending: Sending) -> TransferEnd:
        """Send a handle's request; send it again if the answer was another request's and a repeat is allowed."""
        read_s = sending.read_s or FOREVER_S
        ended = self._exchanges.run(transfer, read_s=read_s)
        for _ in range(MOST_REPEATED):
            if not transfer.is_early or sending.method in UNREPEATABLE:
                break
            transfer.clear()
            transfer.forget_early()
            ended = self._exchanges.run(transfer, read_s=read_s)
        return ended

    def _told(self, sending: Sending) -> Transfer:
        """Return a handle that knows what to send."""
        free = self._kept(sending)
        if free:
            transfer = free.pop()
        else:
            transfer = Transfer(pycurl.Curl(), self._most, over_tls=self._origin.startswith("https"))
            for option, value in (self._options | _method_options(sending)).items():
                transfer.easy.setopt(option, value)
        tell = transfer.easy.setopt
        tell(pycurl.URL, sending.url)
        tell(pycurl.HTTPHEADER, sending.lines)
        tell(pycurl.CONNECTTIMEOUT_MS, ms(sending.connect_s))
        if sending.method in UNREPEATABLE and sending.body is not None:
            # If a kept-alive connection dies before an answer, libcurl repeats the request by itself, unless it would
            # have to rewind a body that is read from a function.
            tell(pycurl.READFUNCTION, io.BytesIO(sending.body).read)
            tell(pycurl.POSTFIELDSIZE_LARGE, len(sending.body))
        elif sending.body is not None:
            tell(pycurl.POSTFIELDS, sending.body)
        return transfer

    def _kept(self, sending: Sending) -> list[Transfer]:
        return self._free.setdefault((sending.method, sending.body is None), [])

    def _failed(
        self, ended: TransferEnd, transfer: Transfer, sending: Sending, request: requests.PreparedRequest
    ) -> requests.Response | None:
        if ended.code in TOO_LARGE:
            raise BodyTooLarge(too_large_text(self._most))
        if ended.code in UNSENT and not transfer.lines:
            return None
        broken = Broken(
            ended.code,
            ended.message,
            errno=int(transfer.easy.getinfo(pycurl.OS_ERRNO)),
            answered=b"\r\n" in transfer.head,
            size=transfer.size,
            connected=bool(transfer.easy.getinfo(pycurl.PRETRANSFER_TIME)),
            in_head=transfer.is_in_head,
        )
        pool: Any = self.get_connection_with_tls_context(request, self._endpoint.verify, cert=self._endpoint.cert)
        raise failure_of(broken, request, pool, (sending.connect_s, sending.read_s))

    def _response(self, transfer: Transfer, request: requests.PreparedRequest) -> requests.Response:
        """Return the answer as requests has it once it is read to its end."""
        lines = transfer.checked_head()
        head = read_head(lines)
        body = transfer.whole_body(lines)
        response = CurlResponse(head, self._most)
        response.url = request.url or ""
        response.request = request
        response.connection = self
        if "content-encoding" in response.headers:
            # urllib3 knows how to decode it, and what to say if it can't.
            response.raw = raw_of(head, io.BytesIO(body), request)
        else:
            response.hold(body)
        if head.message is not None:
            extract_cookies_to_jar(response.cookies, request, response.raw)  # type: ignore[no-untyped-call] # as above
        return response


def _origin(endpoint: Endpoint) -> str:
    """Return how the addresses begin that libcurl is sent to; nothing if there are none."""
    base = urlsplit(endpoint.base_url)
    if "@" in base.netloc or select_proxy(endpoint.base_url, dict(endpoint.proxies)) is not None:
        return ""
    prepared = requests.PreparedRequest()
    try:
        prepared.prepare_url(f"{base.scheme}://{base.netloc}/", None)
    except requests.RequestException:
        return ""
    return prepared.url or ""


def _method_options(sending: Sending) -> dict[int, Any]:
    options: dict[int, Any]
    if sending.method == "HEAD":
        options = {pycurl.NOBODY: 1}
    elif sending.method == "GET" and sending.body is None:
        options = {pycurl.HTTPGET: 1}
    elif sending.method in UNREPEATABLE and sending.body is not None:
        options = {pycurl.CUSTOMREQUEST: sending.method, pycurl.POST: 1}
    else:
        options = {pycurl.CUSTOMREQUEST: sending.method, pycurl.POSTFIELDS: b""}
    if sending.method in UNREPEATABLE and sending.body is None:
        options |= OWN_CONNECTION
    return options
