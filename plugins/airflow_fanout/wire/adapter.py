"""requests' adapter and response, over connections and codings of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.client import HTTPException
from itertools import chain
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError, ContentDecodingError, JSONDecodeError
from urllib3 import HTTPResponse
from urllib3.exceptions import DecodeError, ProtocolError

from airflow_fanout.codec import Json, NotJson
from airflow_fanout.wire.body import charset_of, read_json
from airflow_fanout.wire.coding import BadCoding, Decoder
from airflow_fanout.wire.connection import make_careful
from airflow_fanout.wire.received import Received


class BodyTooLarge(requests.RequestException):
    """An answer that is larger than the report allows, after decompression."""


def too_large(most: int) -> BodyTooLarge:
    """Return the exception for an answer of more than `most` bytes."""
    return BodyTooLarge(f"the answer is larger than {most:,} bytes (max_body_bytes)")


class UnreadableJson(JSONDecodeError):
    """A body that isn't JSON; the message says why, and shows nothing of it.

    :param response: the answer.
    """

    def __init__(self, reason: str, response: requests.Response) -> None:
        super().__init__(reason, "", 0, response=response)

    def __str__(self) -> str:
        return str(self.msg)


class BoundedAdapter(HTTPAdapter):
    """A connection pool for a number of requests at once, with a limit on the size of an answer.

    A request with the header `Connection: close` has a connection for itself.

    :param waits: whether one request more than that waits for the end of another one. If not, its sender says how many
        there are, and what else is open, such as streams that are being read, keeps nobody from sending.
    """

    def __init__(self, concurrency: int, max_body_bytes: int, *, waits: bool = True) -> None:
        self._max_body_bytes = max_body_bytes
        # Without pool_block a full pool opens connections and throws them away: the way to "Too many open files".
        super().__init__(pool_connections=8, pool_maxsize=concurrency, pool_block=waits, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002 - requests' own signature
        """Make the pools of connections."""
        super().init_poolmanager(connections, maxsize, block, **options)
        make_careful(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools of connections by a proxy."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            make_careful(manager)
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - requests' own signature
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request and return its answer."""
        if not closes(request.headers):
            return super().send(request, stream, timeout, verify, cert, proxies)
        # A pool for this one request; what comes back to it after it is closed is closed, too.
        own = BoundedAdapter(1, self._max_body_bytes)
        try:
            return HTTPAdapter.send(own, request, stream, timeout, verify, cert, proxies)
        finally:
            own.close()

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return the response with a count on what is read of it."""
        if type(resp) is HTTPResponse:
            # urllib3 has no other seam for the codings of its responses, nor requests for the class of its own.
            resp.__class__ = Coded
        received = resp._original_response
        if isinstance(received, Received):
            # It knows better where it ends.
            resp.enforce_content_length = False
            if (received.length or 0) > self._max_body_bytes:
                resp.close()
                # Its place in the pool, which closing alone doesn't give back.
                resp.release_conn()
                raise too_large(self._max_body_bytes)
        response = super().build_response(req, resp)
        response.__class__ = BoundedResponse
        response.max_body_bytes = self._max_body_bytes  # type: ignore[attr-defined] # by now it has this field
        return response


def closes(headers: Mapping[str, Any]) -> bool:
    """Return whether a request's headers ask for the end of its connection."""
    text = headers.get("Connection")
    header = text.decode("latin-1") if isinstance(text, bytes) else text or ""
    return "close" in [option.strip().lower() for option in header.split(",")]


class Coded(HTTPResponse):
    """urllib3's response, decompressed by the rules of this package."""

    _coding: Decoder | None = None

    def _init_decoder(self) -> None:
        if self._decoder is None and (text := self.headers.get("content-encoding")):
            try:
                self._coding = Decoder(text)
            except BadCoding as error:
                raise DecodeError(str(error)) from error
            self._decoder = _Decompressor(self._coding)  # type: ignore[assignment] # it has what urllib3 uses
        self._decoder_initialized = True

    def check_end(self) -> None:
        """Raise `ContentDecodingError` if the body has ended in the middle of its coding."""
        if self._coding is not None:
            try:
                self._coding.end()
            except BadCoding as error:
                raise ContentDecodingError(DecodeError(str(error))) from error

    @property
    def wire_bytes(self) -> int:
        """How much of a body in chunks has come, in bytes, with what delimits the chunks."""
        return getattr(self._fp, "wire_bytes", 0)


class _Decompressor:
    """A decoder as urllib3 wants one to be."""

    def __init__(self, coding: Decoder) -> None:
        self._coding = coding
        self._pieces: Iterator[bytes] = iter(())
        self._left = b""

    @property
    def has_unconsumed_tail(self) -> bool:
        """Whether there is more than was asked for."""
        if not self._left:
            self._left = self._next()
        return bool(self._left)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return the next bytes, decompressed: at most `max_length` of them."""
        if data:
            self._pieces = chain(self._pieces, self._coding.pieces(data))
        pieces = []
        size = 0
        while piece := self._left or self._next():
            self._left = b""
            pieces.append(piece)
            size += len(piece)
            if 0 < max_length <= size:
                break
        whole = b"".join(pieces)
        if 0 < max_length < size:
            whole, self._left = whole[:max_length], whole[max_length:]
        return whole

    def flush(self) -> bytes:
        """Return that nothing is left."""
        return b""

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except BadCoding as error:
            raise DecodeError(str(error)) from error


class BoundedResponse(requests.Response):
    """A response with a limit on what is read of its body, and with JSON read as the engine reads it."""

    max_body_bytes: int

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002 - requests' own signature
        """Yield the body in pieces, up to the limit; all ways to the body lead through here.

        :raises BodyTooLarge: when there is more.
        """
        left = self.max_body_bytes
        try:
            for chunk in super().iter_content(chunk_size, decode_unicode):
                left -= len(chunk)
                if left < 0 or getattr(self.raw, "wire_bytes", 0) > self.max_body_bytes:
                    self.close()
                    raise too_large(self.max_body_bytes)
                yield chunk
        except ContentDecodingError:
            try:
                self._read_on()
            finally:
                # urllib3 gives a place in the pool back only after a body that could be decoded.
                self.close()
            raise
        if isinstance(self.raw, Coded):
            self.raw.check_end()

    def _read_on(self) -> None:
        """Read what is left of a body whose coding is wrong: that it breaks off says more than that."""
        received = getattr(self.raw, "_original_response", None)
        if isinstance(received, Received):
            size = 0
            try:
                while (piece := received.read1()) and (size := size + len(piece)) < self.max_body_bytes:
                    pass
            except (HTTPException, OSError) as error:
                raise ChunkedEncodingError(ProtocolError(f"Connection broken: {error!r}", error)) from error

    def json(self, **options: Any) -> Json:
        """Return the value of a JSON body, read as a declarative request's answer is; `None` for 204 (no content).

        With options, which are those of `json.loads`, it is read as `requests` reads it.

        :raises JSONDecodeError: when it is none, with the reason.
        """
        if options:
            return super().json(**options)
        if self.status_code == requests.codes.no_content:
            return None
        try:
            return read_json(self.content, charset_of(self.headers.get("Content-Type")))
        except NotJson as error:
            raise UnreadableJson(str(error), self) from None
