"""Where an answer's body ends (RFC 9112, 6.3), and whether its connection may be used again after it."""

from __future__ import annotations

import re
from typing import NamedTuple

from urllib3.exceptions import InvalidHeader

# RFC 9110: these have no content, whatever their headers say.
BODYLESS = frozenset({204, 304})
SWITCHING_PROTOCOLS = 101
_LENGTHS = re.compile(r"[0-9]+(?:[ \t]*,[ \t]*[0-9]+)*[ \t]*")
# libcurl's own numbers end there.
_LARGEST = (1 << 63) - 1

Pairs = list[tuple[str, str]]


class Framing(NamedTuple):
    """How a body is delimited.

    :param length: its length in bytes; `None` if it is chunked, or ends with its connection.
    :param chunked: whether it comes in chunks.
    :param closes: whether the connection ends with it.
    """

    length: int | None
    chunked: bool
    closes: bool


def framing_of(method: str, version: str, status: int, pairs: Pairs) -> Framing:
    """Return how the body of an answer is delimited.

    :param version: the answer's, such as `HTTP/1.1`.
    :raises InvalidHeader: when its length contradicts itself or is none.
    """
    options = [text.lower() for name, text in pairs if name.lower() == "connection"]
    is_kept = version != "HTTP/1.0" or any("keep-alive" in text for text in options)
    closes = any("close" in text for text in options) or not is_kept
    if status == SWITCHING_PROTOCOLS:
        # What comes now isn't HTTP.
        return Framing(0, chunked=False, closes=True)
    if status in BODYLESS:
        return Framing(0, chunked=False, closes=closes)
    length = _length(pairs)
    if method == "HEAD":
        return Framing(0, chunked=False, closes=closes)
    codings = transfer_codings(pairs)
    if codings:
        # Whatever length is announced, it isn't to be trusted (RFC 9112, 6.3).
        is_chunked = codings[0] == "chunked"
        return Framing(None, chunked=is_chunked, closes=closes or not is_chunked)
    return Framing(length, chunked=False, closes=closes or length is None)


def transfer_codings(pairs: Pairs) -> list[str]:
    """Return the transfer codings that an answer names, in lower case."""
    texts = [text for name, text in pairs if name.lower() == "transfer-encoding"]
    return [coding.strip(" \t").lower() for text in texts for coding in text.split(",") if coding.strip(" \t")]


def is_readable(codings: list[str]) -> bool:
    """Return whether a body with such transfer codings can be read: nobody has asked for any but chunks."""
    return set(codings) <= {"chunked"} or set(codings) <= {"identity"}


def _length(pairs: Pairs) -> int | None:
    lengths: set[int] = set()
    for text in [text for name, text in pairs if name.lower() == "content-length"]:
        if not _LENGTHS.fullmatch(text):
            raise InvalidHeader("Invalid Content-Length: value")
        # A number of five thousand digits is an error of Python's.
        lengths |= {int(number) if len(number) < 20 else _LARGEST for number in re.findall("[0-9]+", text)}
    if len(lengths) > 1:
        raise InvalidHeader("Invalid Content-Length: value")
    return min(lengths.pop(), _LARGEST) if lengths else None
