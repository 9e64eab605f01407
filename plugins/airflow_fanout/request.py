"""A declarative request: what is sent for a parameter, and which part of the answer is the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from airflow_fanout import codec, parameter
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.settings import check_statuses
from airflow_fanout.template import Template, Tree, check_fields, text_of

METHODS = ("GET", "PUT", "DELETE", "POST", "PATCH")
# RFC 9110, section 9.2.2: sending one of these twice has the effect of sending it once.
IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request per parameter; `{name}` is a field of the parameter, `{{ … }}` an Airflow template.

    :param endpoint: the path below the connection's address, such as `/calls/{tel}`; fields are percent-encoded.
    :param method: the HTTP method.
    :param query: the query string's values; a list gives the name several times, `None` leaves it out.
    :param headers: headers of this request, besides the connection's; one whose field is null is left out.
    :param json: a JSON body; a string that is exactly one field keeps the field's type.
    :param result: which part of the answer is the result, as a dotted path (`data.calls`); all of it if not given.
    :param empty_is_null: whether an empty list, object or text counts as no result.
    :param null_statuses: HTTP statuses that say "there is nothing", such as 404; they give the outcome `null`.
    :param repeatable: whether sending it twice does no harm; by the method if not given (RFC 9110, 9.2.2).
    """

    endpoint: str
    method: str = "GET"
    query: Mapping[str, Json] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Json = None
    result: str | None = None
    empty_is_null: bool = False
    null_statuses: Sequence[int] = ()
    repeatable: bool | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise BadSetting("method", self.method, f"one of {', '.join(METHODS)}")
        if "://" in self.endpoint.split("?", 1)[0]:
            raise BadSetting("endpoint", self.endpoint, "a path below the connection's address, such as /calls/{tel}")
        check_statuses("null_statuses", self.null_statuses)
        for name, value in self.headers.items():
            if not isinstance(value, str) or any(sign in name + value for sign in "\r\n\0"):
                raise BadSetting(f"headers[{name!r}]", value, "a text without line breaks")

    def as_json(self) -> dict[str, Any]:
        """Return the request as plain JSON; `Request(**json)` is its inverse."""
        return {**asdict(self), "null_statuses": list(self.null_statuses)}

    @property
    def is_repeatable(self) -> bool:
        """Whether the request may be sent again when nobody knows if it arrived."""
        return self.method in IDEMPOTENT if self.repeatable is None else self.repeatable


class Message(NamedTuple):
    """A request as it is sent: the target is the path with its query, below the base address."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes | None


class Compiled:
    """A request read once and checked against the fields that every parameter of the list has."""

    def __init__(self, request: Request, known: tuple[str, ...]) -> None:
        self._request = request
        self._path = Template(request.endpoint)
        self._query = Tree(dict(request.query))
        self._headers = Tree(dict(request.headers))
        self._body = Tree(request.json)
        check_fields("endpoint", self._path.fields, known)
        check_fields("query", self._query.fields(), known)
        check_fields("headers", self._headers.fields(), known)
        check_fields("json", self._body.fields(), known)

    def message(self, value: Json) -> Message:
        """Return what is sent for a parameter.

        :raises ValueError: when the parameter's value can't stand where the request puts it.
        """
        values = parameter.fields(value)
        body = None if self._request.json is None else codec.encode(self._body.fill(values))
        headers = _safe_headers(self._headers.fill(values))
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return Message(self._request.method, self._target(values), headers, body)

    def _target(self, values: Mapping[str, Json]) -> str:
        path = self._path.fill(values, _segment)
        query = urlencode(list(_pairs(self._query.fill(values))))
        return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


def _pairs(query: dict[str, Json]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                yield name, text_of(one)


def _segment(text: str) -> str:
    # "/calls/.." is another resource for every client and server on the way, encoded or not.
    if text in ("", ".", ".."):
        raise ValueError(f"a field of the endpoint is {text!r}, which would ask for another resource")
    return quote(text, safe="")


def _safe_headers(headers: dict[str, Json]) -> dict[str, str]:
    safe = {name: text_of(value) for name, value in headers.items() if value is not None}
    for name, text in safe.items():
        if any(sign in text for sign in "\r\n\0"):
            raise ValueError(f"the header {name} would have a line break in it")
    return safe
