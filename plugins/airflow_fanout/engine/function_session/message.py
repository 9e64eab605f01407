"""Requests on their way from requests to libcurl: what the one has prepared, as the other takes it."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_fanout.engine.libcurl.address import URL
from airflow_fanout.engine.libcurl.options import header_line, left_out

if TYPE_CHECKING:
    from requests import PreparedRequest

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"})
# What these ask for, libcurl would do in its own way, or not at all.
_SPECIAL = frozenset({"expect", "te", "trailer", "transfer-encoding", "upgrade"})
# Without these, urllib3 sends words of its own.
_NEEDED = frozenset({"user-agent", "accept-encoding"})
# RFC 9110, 5.1: what a header's name may be made of.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Whoever sends the same headers again needn't have them looked at again.
_REMEMBERED = 256

Seconds = float | None


class Sending(NamedTuple):
    """A request as libcurl takes it; `None` as `body` sends none, `None` as a time limit sets no limit."""

    method: str
    url: str
    lines: list[bytes]
    body: bytes | None
    connect_s: Seconds
    read_s: Seconds


def sending_of(request: PreparedRequest, timeout: Any) -> Sending | None:
    """Return a request as libcurl takes it, `None` if it would send something else than requests."""
    body = request.body.encode() if isinstance(request.body, str) else request.body
    method, url, limits = request.method or "", request.url or "", _limits(timeout)
    if limits is None or method not in METHODS or not URL.fullmatch(url):
        return None
    if body is not None and (not isinstance(body, bytes) or not body or method == "HEAD"):
        return None
    lines = _lines(tuple(request.headers.items()), None if body is None else str(len(body)))
    return None if lines is None else Sending(method, url, lines, body, *limits)


def _limits(timeout: Any) -> tuple[Seconds, Seconds] | None:
    limits = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    if len(limits) != 2:
        return None
    for limit in limits:
        is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
        if limit is not None and not (is_number and 0 < limit < math.inf):
            return None
    connect_s, read_s = limits
    return connect_s, read_s


@lru_cache(_REMEMBERED)
def _lines(headers: tuple[tuple[str, str | bytes], ...], length: str | None) -> list[bytes] | None:
    """Return the lines of these headers, `None` if libcurl would change one of them.

    :param length: the body's, in bytes; `None` for no body.
    """
    texts = {
        name.lower(): (name, value.decode("latin-1") if isinstance(value, bytes) else value) for name, value in headers
    }
    announced = texts.pop("content-length", ("", None))[1]
    if announced not in (length, "0" if length is None else length):
        return None
    if not texts.keys() >= _NEEDED or texts.keys() & _SPECIAL or not all(map(_NAME.fullmatch, texts)):
        return None
    try:
        lines = [header_line(name, text) for name, text in texts.values()]
    except ValueError:
        return None
    # What libcurl would say of its own accord.
    return lines + [left_out(name) for name in ("Accept", "Content-Type", "Expect") if name.lower() not in texts]
