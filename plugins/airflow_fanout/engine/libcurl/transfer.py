"""A handle of libcurl's with what it receives, and what its answer is once it has come to its end."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pycurl

from airflow_fanout.model.outcome import Kind
from airflow_fanout.wire.chunks import ChunkReader
from airflow_fanout.wire.framing import BODYLESS, is_readable, transfer_codings
from airflow_fanout.wire.head import MOST_HEADERS, is_status_line, pairs_of

if TYPE_CHECKING:
    from airflow_fanout.engine.steps import Steps


class Unreadable(Exception):
    """An answer that libcurl has taken, and that can't be read all the same.

    :param kind: what becomes of the attempt.
    :param name: the exception of requests' for the same.
    :param message: why.
    :param garbled: whether a torn answer looks the same.
    """

    def __init__(self, kind: Kind, name: str, message: str, *, garbled: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name
        self.message = message
        self.garbled = garbled


# Of an answer that was there before its request.
EARLY = "data arrived on the connection before the request was sent, so it isn't the answer"
# Our own callback has refused more of the body, or its announced length is too much already.
TOO_LARGE = frozenset({pycurl.E_WRITE_ERROR, pycurl.E_FILESIZE_EXCEEDED})
# The line that ends a head.
_BLANK = (b"\r\n", b"\n")
# How libcurl says that the server has refused a stream of HTTP/2: on a connection that was kept, and on a new one.
_REFUSED_STREAM = (b"refused by server", b"REFUSED_STREAM")


class Transfer:
    """A handle with what it receives; used again for one request after the other.

    :param easy: the handle.
    :param most: the largest body, in bytes.
    :param over_tls: whether it goes over TLS, to the server or to a proxy.

    `told` are the request's own headers that the handle knows of, and `renewal` is the number of the renewal that
    its credentials come from. `moved` is how much of the bodies had gone out and come in at the last look, and
    `heard_s` the moment of the last look at which it was more than before. `is_soiled`
    says whether something has come after the answer's chunks, once these were taken apart. Over TLS, `is_early` says
    that what was taken for the answer came before the request, and `refused` that the server has refused the request's
    stream. Of a parameter with several requests, `steps` says which is under way, `address` where it has gone,
    and `method` which method the handle was set to, if it was.
    """

    __slots__ = (
        "address",
        "body",
        "easy",
        "heard_s",
        "is_early",
        "is_soiled",
        "lines",
        "method",
        "most",
        "moved",
        "over_tls",
        "refused",
        "renewal",
        "size",
        "steps",
        "told",
    )

    def __init__(self, easy: Any, most: int, *, over_tls: bool = False) -> None:
        self.easy = easy
        self.over_tls = over_tls
        self.body: list[bytes] = []
        self.lines: list[bytes] = []
        self.size = 0
        self.most = most
        self.heard_s = 0.0
        self.moved = 0
        self.is_soiled: bool | None = None
        self.is_early = False
        self.told: Mapping[str, str] | None = None
        self.renewal: int | None = None
        self.refused = False
        self.steps: Steps | None = None
        self.address = ""
        self.method = ""
        self.easy.setopt(pycurl.WRITEFUNCTION, self._receive)
        self.easy.setopt(pycurl.HEADERFUNCTION, self.lines.append)

    @property
    def status(self) -> int:
        """The answer's HTTP status."""
        return int(self.easy.getinfo(pycurl.RESPONSE_CODE))

    @property
    def head(self) -> list[bytes]:
        """The answer's status line and headers: not those of interim answers or a challenge before it, nor trailers."""
        begins = 0
        for place, line in enumerate(self.lines[:-1]):
            # HTTP/2 has trailers, which libcurl gives as headers. The chunks of HTTP/1 are still whole.
            if line in _BLANK and (self.lines[place + 1][:5] == b"HTTP/" or self.lines[0][:6] == b"HTTP/1"):
                begins = place + 1
        ends = (place for place, line in enumerate(self.lines) if place >= begins and line in _BLANK)
        return self.lines[begins : next(ends, len(self.lines)) + 1]

    @property
    def is_answered(self) -> bool:
        """Whether the head of the last answer is whole."""
        head = self.head
        return bool(head) and head[-1] in _BLANK

    @property
    def is_in_head(self) -> bool:
        """Whether the head of the last answer has begun, and isn't whole."""
        head = self.head
        return bool(head) and not self.is_answered and is_status_line(head[0])

    def checked_head(self) -> list[bytes]:
        """Return the answer's head, unless it is one that only libcurl reads.

        :raises Unreadable: when it is too long or cut off, or begins with no status line.
        """
        head = self.head
        check_status_line(head[0])
        # libcurl takes what has come before the connection's end for a whole answer without a body.
        if head[-1] not in _BLANK:
            raise Unreadable(Kind.CONNECTION_ERROR, "ConnectionError", "the connection ended within the answer's head")
        if len(head) > MOST_HEADERS + 2:
            raise Unreadable(Kind.CONNECTION_ERROR, "ConnectionError", f"got more than {MOST_HEADERS} headers")
        return head

    def whole_body(self, head: list[bytes]) -> bytes:
        """Return the answer's body without the marks of its chunks.

        :raises Unreadable: when it has a transfer coding but chunks.
        """
        if self.body and "chunked" in self.check_codings(head):
            self.unchunk()
        return b"".join(self.body)

    def unchunk(self) -> None:
        """Take the body's chunks apart, and see whether anything has come after them: libcurl keeps the connection."""
        if self.is_soiled is not None:
            return
        self.is_soiled = False
        body = b"".join(self.body)
        file = io.BytesIO(body)
        chunks = ChunkReader(file)
        self.body.clear()
        while piece := chunks.read(len(body)):
            self.body.append(piece)
        self.is_soiled = bool(file.read(1))

    def complaint(self) -> Unreadable | None:
        """Return what is wrong with an answer that has no end, if its head shows that it couldn't be read anyway."""
        head = self.head
        try:
            if self.is_answered:
                self.check_codings(self.checked_head())
            elif head:
                # A header may be all that libcurl names, although the status line before it is none.
                check_status_line(head[0])
        except Unreadable as error:
            return error
        return None

    def check_codings(self, head: list[bytes]) -> list[str]:
        """Return the transfer codings of an answer's body, if it has one.

        :raises Unreadable: when it has others than chunks: nobody has asked for them.
        """
        codings = transfer_codings(pairs_of(head))
        if not codings or self.status in BODYLESS or head[0][:7] != b"HTTP/1.":
            return []
        if not is_readable(codings):
            raise Unreadable(Kind.INVALID, "InvalidHeader", "Unsolicited Transfer-Encoding found")
        return codings

    def clear(self) -> None:
        """Forget the last answer."""
        self.body.clear()
        self.lines.clear()
        self.size = 0
        self.moved = 0
        self.is_soiled = None

    def forget_early(self) -> bool:
        """Return `is_early`, and forget it: the handle's next request may fail before it is sent."""
        was_early, self.is_early = self.is_early, False
        return was_early

    def hear(self, kind: int, text: bytes) -> None:
        """Hear in libcurl's words on its own doing (CURLOPT_DEBUGFUNCTION) whether the stream was refused."""
        if kind == pycurl.INFOTYPE_TEXT:
            self.refused = self.refused or any(words in text for words in _REFUSED_STREAM)

    def _receive(self, data: bytes) -> int | None:
        self.size = size = self.size + len(data)
        if size > self.most:
            return -1
        self.body.append(data)
        return None


def check_status_line(line: bytes) -> None:
    """Raise `Unreadable` for a line that an answer can't begin with."""
    if not is_status_line(line):
        raise Unreadable(Kind.CONNECTION_ERROR, "ConnectionError", "the answer doesn't begin with a status line")


def too_large_text(most: int) -> str:
    """Return what is wrong with a body of more than `most` bytes."""
    return f"the answer is larger than {most:,} bytes (max_body_bytes)"


def is_bad_header(code: int, *, in_head: bool) -> bool:
    """Return whether libcurl's code is about headers, not about a status line or what stands after chunks.

    :param in_head: whether the answer's head had begun, and wasn't whole yet.
    """
    return in_head and code == pycurl.E_FTP_WEIRD_SERVER_REPLY
