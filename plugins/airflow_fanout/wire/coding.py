"""Content codings (RFC 9110, 8.4): a body as it was before it was compressed.

Read as `requests` reads them: gzip of several members and with anything after its end, deflate with and without
zlib's own head, and a coding that nobody knows as if it weren't there. Stricter in one point: a body that ends in the
middle of its coding isn't read at all, since what is there may look whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

# What every way to the API says that it takes: the same answers come on all of them.
ACCEPTED = "gzip, deflate"
MOST_CODINGS = 5
# Bodies are decompressed piece by piece: a small one may become a very large one.
PIECE = 1 << 18
GZIP_MAGIC = b"\x1f\x8b"


class BadCoding(ValueError):
    """A body that isn't what its `Content-Encoding` says; the message names it."""


class Gzip:
    """gzip, of one member or several (RFC 1952, 2.2); what follows them and is no member is left out."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._is_first = True
        self._head = b""
        self._is_over = False

    @property
    def is_whole(self) -> bool:
        """Whether the body may end here."""
        return self._is_over or self._member.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what becomes of the next bytes."""
        piece = b""
        # A full piece may have left some of its output behind, in zlib.
        while (data or len(piece) == PIECE) and not self._is_over:
            if self._member.eof and not (data := self._next_member(data)):
                return
            piece = self._member.decompress(data, PIECE)
            data = self._member.unconsumed_tail or self._member.unused_data
            if piece:
                yield piece

    def _next_member(self, data: bytes) -> bytes:
        """Begin another member if there is one; return what is to be read of it."""
        data = self._head + data
        self._head = b""
        if len(data) < len(GZIP_MAGIC) and GZIP_MAGIC.startswith(data):
            self._head = data
            return b""
        if not data.startswith(GZIP_MAGIC):
            self._is_over = True
            return b""
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return data


class Deflate:
    """deflate, with zlib's head (RFC 1950), as it should be, or without (RFC 1951), as some servers have it."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()
        self._begun = b""
        self._is_known = False

    @property
    def is_whole(self) -> bool:
        """Whether the body may end here."""
        return self._stream.eof

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what becomes of the next bytes."""
        if not self._is_known:
            data = self._begun + data
            if len(data) < 2:
                self._begun = data
                return
            self._is_known = True
            # RFC 1950, 2.2: the method is 8, and both bytes together are a multiple of 31.
            if data[0] & 0x0F != 8 or int.from_bytes(data[:2], "big") % 31:
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        piece = b""
        while (data or len(piece) == PIECE) and not self._stream.eof:
            piece = self._stream.decompress(data, PIECE)
            data = self._stream.unconsumed_tail
            if piece:
                yield piece


# What takes one coding away.
Stage = Gzip | Deflate
_STAGES: dict[str, type[Stage]] = {"gzip": Gzip, "x-gzip": Gzip, "deflate": Deflate}


def codings_of(text: str) -> list[str]:
    """Return the codings of a `Content-Encoding` that have to be taken away, in the order in which they were applied.

    :raises BadCoding: when there are too many.
    """
    known = [coding for coding in (name.strip(" \t").lower() for name in text.split(",")) if coding in _STAGES]
    if len(known) > MOST_CODINGS:
        raise BadCoding(f"the answer has {len(known)} content codings, more than {MOST_CODINGS}")
    return known


class Decoder:
    """Takes all codings of a body away.

    :param text: its `Content-Encoding`.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._stages: list[Stage] = [_STAGES[coding]() for coding in reversed(codings_of(text))]
        self._has_data = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what becomes of the next bytes of the body, in pieces of limited size.

        :raises BadCoding: when they aren't what the codings say.
        """
        self._has_data = self._has_data or bool(data)
        try:
            yield from _through(self._stages, data)
        except zlib.error as error:
            raise BadCoding(f"the answer's body isn't what Content-Encoding: {self._text} says ({error})") from error

    def end(self) -> None:
        """Raise `BadCoding` if the body has ended too early; one without any bytes hasn't."""
        if self._has_data and not all(stage.is_whole for stage in self._stages):
            raise BadCoding(f"the answer's body ends in the middle of what Content-Encoding: {self._text} says")


def _through(stages: list[Stage], data: bytes) -> Iterator[bytes]:
    if not stages:
        if data:
            yield data
        return
    for piece in stages[0].pieces(data):
        yield from _through(stages[1:], piece)


def decoded(text: str, body: bytes, most: int) -> bytes | None:
    """Return a whole body without its codings; `None` if it is larger than `most` bytes.

    :param text: its `Content-Encoding`.
    :raises BadCoding: when it isn't what that says.
    """
    decoder = Decoder(text)
    pieces = []
    size = 0
    for piece in decoder.pieces(body):
        size += len(piece)
        if size > most:
            return None
        pieces.append(piece)
    decoder.end()
    return b"".join(pieces)
