"""What is sent for a parameter: a declarative request, read once and filled in for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
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


class _Part(NamedTuple):
    """A part of a request: the fields that it has, and what stands in it when they are filled in."""

    name: str
    fields: tuple[str, ...]
    of: Fill
    content_type: str | None = None


class Compiled:
    """A request read once and checked against the fields that every parameter of the list has.

    Whatever is the same for each parameter is written once: a literal path, a literal query, headers, a body.

    :param tree: reads a JSON value whose texts are templates.
    :param path: returns what fills the endpoint in.
    """

    def __init__(
        self,
        request: Request,
        known: tuple[str, ...],
        *,
        tree: Callable[[Json], Tree] = Tree,
        path: Callable[[Template], Callable[..., str]] = lambda template: template.filler(segment),
    ) -> None:
        endpoint = Template(request.endpoint)
        query = _pairs("query", request.query, tree)
        self._method = request.method
        self._target = _target(path(endpoint), query)
        body = _body(request, tree)
        headers = _headers(request.headers, body.content_type)
        check_fields("endpoint", endpoint.fields, known)
        for part in (query, headers, body):
            check_fields(part.name, part.fields, known)
        self._headers, self._body = headers.of, body.of
        self._always = None if headers.fields or body.fields else (headers.of({}), body.of({}))
        # What comes from the author; all else in a target is percent-encoded.
        self.literals = endpoint.literals

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
        headers, body = self._always or (self._headers(values), self._body(values))
        return self._target(values), headers, body


def _pairs(part: str, pairs: Mapping[str, Json], tree_of: Callable[[Json], Tree]) -> _Part:
    """Return names and values as a query string and a form have them (application/x-www-form-urlencoded)."""
    trees = [(f"{quote_plus(name)}=", tree_of(value)) for name, value in pairs.items()]
    fields = tuple(field for _, tree in trees for field in tree.fields)
    pieces = [_piece(prefix, tree) for prefix, tree in trees]

    def written(values: Mapping[str, Json]) -> str:
        return "&".join(filter(None, [piece(values) for piece in pieces]))

    if fields:
        return _Part(part, fields, written)
    always = written({})
    return _Part(part, fields, lambda _values: always)


def _target(path: Callable[[Any], str], query: _Part) -> Callable[[Any], str]:
    if not (query.fields or query.of({})):
        return path

    def written(values: Mapping[str, Json]) -> str:
        before, after = path(values), query.of(values)
        return f"{before}{'&' if '?' in before else '?'}{after}" if after else before

    return written


def _piece(prefix: str, tree: Tree) -> Fill:
    def written(values: Mapping[str, Json]) -> str:
        value = tree.fill(values)
        several = value if isinstance(value, list | tuple) else (value,)
        texts = [text_of(element) for element in several if element is not None]
        # A third of the time that `quote` takes, and nearly all values are ASCII.
        quoted = [_RESERVED.sub(_encoded, text) if text.isascii() else quote(text, safe="") for text in texts]
        return "&".join([prefix + text.replace("%20", "+") for text in quoted])

    if tree.fields:
        return written
    text = written({})
    return lambda _values: text


def _body(request: Request, tree_of: Callable[[Json], Tree]) -> _Part:
    if request.form is not None:
        form = _pairs("form", request.form, tree_of)
        return _Part("form", form.fields, lambda values: form.of(values).encode(), "application/x-www-form-urlencoded")
    if request.json is None:
        return _Part("json", (), lambda _values: None)
    tree = tree_of(request.json)
    if tree.fields:
        return _Part("json", tree.fields, lambda values: codec.encode(tree.fill(values)), "application/json")
    always = codec.encode(tree.fill({}))
    return _Part("json", (), lambda _values: always, "application/json")


def _headers(headers: Mapping[str, str], content_type: str | None) -> _Part:
    """Return the request's own headers, and the type of its body unless they say it."""
    says_type = any(name.lower() == "content-type" for name in headers)
    tree = Tree({**headers, **({} if content_type is None or says_type else {"Content-Type": content_type})})
    if tree.fields:
        return _Part("headers", tree.fields, lambda values: _safe_headers(tree.fill(values)))
    always = _safe_headers(tree.fill({}))
    return _Part("headers", (), lambda _values: always)


def segment(value: Json) -> str:
    """Return a value as a part of a path.

    :raises ValueError: for one that would lead to another resource.
    """
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


def _safe_headers(headers: Mapping[str, Json]) -> dict[str, str]:
    safe = {name: text_of(value) for name, value in headers.items() if value is not None}
    for name, text in safe.items():
        if any(sign in text for sign in "\r\n\0"):
            raise ValueError(f"the header {name} would have a line break in it")
    return safe
