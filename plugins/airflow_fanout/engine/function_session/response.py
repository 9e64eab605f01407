"""An answer that libcurl has received as a whole, as requests has it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING

from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict

from airflow_fanout.wire.adapter import BoundedResponse, Coded
from airflow_fanout.wire.framing import BODYLESS
from airflow_fanout.wire.head import Head

if TYPE_CHECKING:
    import requests
    from urllib3 import HTTPResponse


class CurlResponse(BoundedResponse):
    """A response that was received as a whole; its `raw`, read to its end, is made when somebody wants it."""

    # What was pickled has none.
    _head: Head | None = None
    _raw: HTTPResponse | None = None

    def __init__(self, head: Head, most: int) -> None:
        super().__init__()
        self._head = head
        self.max_body_bytes = most
        self.status_code = head.status
        self.reason = head.reason
        self.headers = CaseInsensitiveDict(head.headers)
        self.encoding = get_encoding_from_headers(self.headers)

    def hold(self, body: bytes) -> None:
        """Take the body, which is all here."""
        self._content = body
        self._content_consumed = True

    @property
    def raw(self) -> HTTPResponse | None:
        """The answer as urllib3 has it."""
        if self._raw is None and self._head is not None:
            raw = raw_of(self._head, io.BytesIO(self.content), self.request)
            raw.drain_conn()
            self._raw = raw
        return self._raw

    @raw.setter
    def raw(self, raw: HTTPResponse | None) -> None:
        self._raw = raw


def raw_of(head: Head, body: io.BytesIO, request: requests.PreparedRequest) -> HTTPResponse:
    """Return an answer as urllib3 has it."""
    headers = HTTPHeaderDict(head.headers)
    if head.status in BODYLESS and "," in headers.get("Content-Length", ""):
        # It delimits nothing here, and urllib3 refuses an answer whose lengths contradict each other.
        headers.discard("Content-Length")
    # What requests looks for when it takes the cookies of an answer.
    original = head.message and SimpleNamespace(msg=head.message, isclosed=lambda: True, close=lambda: None)
    return Coded(
        body,
        headers,
        head.status,
        version=10 if head.version == "HTTP/1.0" else 11,
        version_string=head.version,
        reason=head.reason,
        preload_content=False,
        decode_content=False,
        original_response=original,  # type: ignore[arg-type] # it needs no more of it
        enforce_content_length=False,
        request_method=request.method,
        request_url=request.path_url,
    )
