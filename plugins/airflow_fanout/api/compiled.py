"""What is sent for a parameter: a declarative request, read once and filled in for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from airflow_fanout import codec
from airflow_fanout.api.request import Request
from airflow_fanout.api.template import Fill, Template, Tree, check_fields, text_of
from airflow_fanout.codec import Json
from airflow_fanout.model import parameter

# RFC 3986, 5.2.4: what a segment of a path must not be.
_ELSEWHERE = ("", ".", "..")
# RFC 3986, 2.1 and 2.3: everything but these is percent-encoded.
_RESERVED = re.compile(r"[^A-Za-z0-9_.~-]")
_ENCODED = {chr(code): f"%{code:02X}" for code in range(128)}


class Prepared(NamedTuple):
    """A request as it is sent: the target is the path with its query, below the base address."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None


class Compiled:
    """A request read once and checked against the fields that every parameter of the list has.

    Whatever is the same for each parameter is written once: a literal path, a literal query, headers, a body.
    """

    def __init__(self, request: Request, known: tuple[str, ...]) -> None:
        self._method = request.method
        path = Template(request.endpoint)
        query = _Pairs("query", request.query)
        self._target = _target(path.filler(_segment), query)
        self._body: _JsonBody | _Pairs | _NoBody
        if request.form is not None:
            self._body = _Pairs("form", request.form)
        else:
            self._body = _NoBody() if request.json is None else _JsonBody(request.json)
        self._headers = _Headers(request.headers, self._body.content_type)
        check_fields("endpoint", path.fields, known)
        for part in (query, self._headers, self._body):
            check_fields(part.name, part.fields, known)
        is_same = not (self._headers.fields or self._body.fields)
        self._always = (self._headers.of({}), self._body.of({})) if is_same else None
        # What comes from the author; all else in a target is percent-encoded.
        self.literals = path.literals

    def message(self, value: Json) -> Prepared:
        """Return what is sent for a parameter; its headers are not to be changed.

        :raises ValueError: when the parameter's value can't stand where the request puts it.
        """
        return Prepared(self._method, *self.parts(value))

    def parts(self, value: Json) -> tuple[str, Mapping[str, str], bytes | None]:
        """Return the target, headers and body of a parameter's message.

        :raises ValueError: when the parameter's value can't stand where the request puts it.
        """
        values = parameter.fields(value)
        headers, body = self._always or (self._headers.of(values), self._body.of(values))
        return self._target(values), headers, body


class _Pairs:
    """Names and values as a query string and a form have them (application/x-www-form-urlencoded)."""

    content_type: str | None = "application/x-www-form-urlencoded"

    def __init__(self, part: str, pairs: Mapping[str, Json]) -> None:
        self.name = part
        trees = [(f"{quote_plus(name)}=", Tree(value)) for name, value in pairs.items()]
        self.fields = tuple(field for _, tree in trees for field in tree.fields)
        self._pieces: list[Fill] = [_piece(prefix, tree) for prefix, tree in trees]
        self._always = None if self.fields else self._written({})

    def text(self, values: Mapping[str, Json]) -> str:
        """Return the pairs as text."""
        return self._written(values) if self._always is None else self._always

    def _written(self, values: Mapping[str, Json]) -> str:
        return "&".join(filter(None, [piece(values) for piece in self._pieces]))

    def of(self, values: Mapping[str, Json]) -> bytes:
        """Return the pairs as a body."""
        return self.text(values).encode()


def _target(path: Callable[[Mapping[str, Json]], str], query: _Pairs) -> Callable[[Mapping[str, Json]], str]:
    if not (query.fields or query.text({})):
        return path

    def written(values: Mapping[str, Json]) -> str:
        before, after = path(values), query.text(values)
        return f"{before}{'&' if '?' in before else '?'}{after}" if after else before

    return written


def _piece(prefix: str, tree: Tree) -> Fill:
    def written(values: Mapping[str, Json]) -> str:
        value = tree.fill(values)
        several = value if isinstance(value, list | tuple) else (value,)
        texts = [text_of(one) for one in several if one is not None]
        # A third of the time that `quote` takes, and nearly all values are ASCII.
        quoted = [_RESERVED.sub(_encoded, text) if text.isascii() else quote(text, safe="") for text in texts]
        return "&".join([prefix + text.replace("%20", "+") for text in quoted])

    if tree.fields:
        return written
    text = written({})
    return lambda _values: text


class _JsonBody:
    """A JSON body."""

    name = "json"
    content_type: str | None = "application/json"

    def __init__(self, value: Json) -> None:
        tree = Tree(value)
        self.fields = tree.fields
        self._tree = tree
        self._always = None if tree.fields else codec.encode(value)

    def of(self, values: Mapping[str, Json]) -> bytes:
        """Return the body."""
        return codec.encode(self._tree.fill(values)) if self._always is None else self._always


class _NoBody:
    """No body."""

    name = "json"
    content_type: str | None = None
    fields = ()

    def of(self, _values: Mapping[str, Json]) -> None:
        """Return that there is none."""


class _Headers:
    """The request's own headers, and the type of its body unless they say it."""

    name = "headers"

    def __init__(self, headers: Mapping[str, str], content_type: str | None) -> None:
        says_type = any(name.lower() == "content-type" for name in headers)
        typed = {} if content_type is None or says_type else {"Content-Type": content_type}
        tree = Tree({**headers, **typed})
        self.fields = tree.fields
        self._tree = tree
        self._always = None if tree.fields else _safe_headers(tree.fill({}))

    def of(self, values: Mapping[str, Json]) -> Mapping[str, str]:
        """Return the headers."""
        return _safe_headers(self._tree.fill(values)) if self._always is None else self._always


def _segment(value: Json) -> str:
    text = value if isinstance(value, str) else text_of(value)
    # Letters and digits stand for themselves, and most keys have nothing else.
    if text.isascii() and text.isalnum():
        return text
    # "/calls/.." is another resource for every client and server on the way, encoded or not.
    if text in _ELSEWHERE:
        raise ValueError(f"a field of the endpoint is {text!r}, which would ask for another resource")
    return _RESERVED.sub(_encoded, text) if text.isascii() else quote(text, safe="")


def _encoded(sign: re.Match[str]) -> str:
    return _ENCODED[sign[0]]


def _safe_headers(headers: dict[str, Json]) -> dict[str, str]:
    safe = {name: text_of(value) for name, value in headers.items() if value is not None}
    for name, text in safe.items():
        if any(sign in text for sign in "\r\n\0"):
            raise ValueError(f"the header {name} would have a line break in it")
    return safe
