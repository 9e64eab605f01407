"""An answer's head: its lines as they come from a connection, and what they say.

The rules are libcurl's (lib/http.c): a line ends with LF, a line that begins with a blank goes on with the one before
(RFC 9112, 5.2), and a head with anything else in it than lines with a colon is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http.client import BadStatusLine, HTTPException, HTTPMessage, RemoteDisconnected
from typing import IO, NamedTuple

from urllib3 import HTTPHeaderDict
from urllib3.exceptions import InvalidHeader

# Python's own http.client takes this many headers.
MOST_HEADERS = 100
# libcurl's limit for all heads of one answer, interim answers included.
MOST_BYTES = 300 * 1024

_STATUS = re.compile(rb"HTTP/1\.([01])[ \t]([1-9][0-9][0-9])(.*)", re.DOTALL)
# What libcurl gives as the status line of an answer of HTTP/2 begins with its number alone.
_ANY_STATUS = re.compile(rb"HTTP/(?:1\.[01]|[23])[ \t][1-9][0-9][0-9]")


class Head(NamedTuple):
    """An answer's status line and headers.

    `message` has the headers as Python's own client has them, if there is more to them than names and values.
    """

    status: int
    reason: str
    version: str
    headers: Mapping[str, str]
    message: HTTPMessage | None = None


def receive_head(file: IO[bytes]) -> list[bytes]:
    """Return the lines of a final answer's head, the empty one at its end included.

    Interim answers before it are skipped (RFC 9110, 15.2), all but 101, which is the last one in HTTP.

    :raises HTTPException: when the connection has ended, or what it brings is no answer of HTTP/1.
    :raises InvalidHeader: when a line can't be a header.
    """
    lines: list[bytes] = []
    left = MOST_BYTES
    while not lines or (lines[0][9:10] == b"1" and lines[0][9:12] != b"101"):
        lines = _one_head(file, left)
        left -= sum(map(len, lines))
    return lines


def is_status_line(line: bytes) -> bool:
    """Return whether a line can begin an answer; libcurl takes "http/1.1 404" for one, and the status 099."""
    return bool(_ANY_STATUS.match(line))


def check_number(lines: list[bytes]) -> None:
    """Raise `HTTPException` for a head with more headers than anybody needs."""
    # A status line and an empty one are no headers.
    if len(lines) > MOST_HEADERS + 2:
        raise HTTPException(f"got more than {MOST_HEADERS} headers")


def read_head(lines: list[bytes]) -> Head:
    """Read an answer's status line and headers, up to the empty line: trailers are no part of them."""
    version, status, reason = (*lines[0].decode("latin-1").split(None, 2), "", "")[:3]
    pairs = pairs_of(lines)
    names = {name.lower() for name, _ in pairs}
    if len(names) == len(pairs) and "set-cookie" not in names:
        return Head(int(status[:3]), reason.strip(), version, dict(pairs))
    message = message_of(pairs)
    return Head(int(status[:3]), reason.strip(), version, HTTPHeaderDict(pairs), message)


def message_of(pairs: list[tuple[str, str]]) -> HTTPMessage:
    """Return headers as Python's own client has them."""
    message = HTTPMessage()
    for name, text in pairs:
        message[name] = text
    return message


def pairs_of(lines: list[bytes]) -> list[tuple[str, str]]:
    """Return the names and values of a head's headers, in order."""
    pairs = []
    for line in lines[1:]:
        if line[:1] in b"\r\n":
            break
        name, _, text = line.decode("latin-1").partition(":")
        pairs.append((name, text.lstrip(" \t").rstrip("\r\n")))
    return pairs


def _one_head(file: IO[bytes], left: int) -> list[bytes]:
    lines = [_status_line(file, left)]
    left -= len(lines[0])
    while True:
        line = _line(file, left)
        if not line.endswith(b"\n"):
            raise RemoteDisconnected("Remote end closed connection in the middle of an answer's head")
        left -= len(line)
        if line[0] in b" \t" and len(lines) > 1:
            lines[-1] = lines[-1].rstrip(b"\r\n").rstrip(b" \t") + b" " + line.lstrip(b" \t")
            continue
        if len(lines) > 1:
            _check_header(lines[-1])
        lines.append(line)
        if line[0] in b"\r\n":
            return lines


def _status_line(file: IO[bytes], left: int) -> bytes:
    line = _line(file, left)
    if not line:
        raise RemoteDisconnected("Remote end closed connection without response")
    if not _STATUS.fullmatch(line) or b"\0" in line or b"\r" in line[:-2]:
        raise BadStatusLine("the answer doesn't begin with a status line of HTTP/1")
    return line


def _line(file: IO[bytes], left: int) -> bytes:
    """Return the next line; at the connection's end, what there is of it."""
    line = file.readline(left + 1)
    if len(line) > left:
        raise HTTPException(f"Too large response headers: more than {MOST_BYTES:,} bytes")
    return line


def _check_header(line: bytes) -> None:
    if b"\0" in line:
        raise InvalidHeader("Nul byte in header")
    if b"\r" in line[:-2]:
        raise InvalidHeader("Carriage return found in header")
    if b":" not in line:
        raise InvalidHeader("Header without colon")
