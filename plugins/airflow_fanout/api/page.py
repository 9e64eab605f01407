"""One page as it was received, and the places in it where something stands."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urldefrag, urljoin

import msgspec

from airflow_fanout.api.result import PartMissing, Path, ResultPath, check_path, named, shown
from airflow_fanout.api.template import text_of
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared

if TYPE_CHECKING:
    from airflow_fanout.api.links import Link

Query = Mapping[str, Json]

# 203 has gone through something that changed it, 206 is what some APIs call a page of a longer list.
PAGE_STATUSES = frozenset({200, 203, 206})


class Header(Declared, frozen=True):
    """A header of each page's answer, where a field of its body could be named: `total=Header("X-Total-Count")`."""

    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise BadSetting("Header", self.name, 'the name of a header, such as Header("X-Total-Count")')

    def __str__(self) -> str:
        return f"the header {self.name}"


FieldOrHeader = Path | Header


def check_field_or_header(field: str, place: object) -> None:
    """Raise `BadSetting` unless a value is a path or a `Header`."""
    if not isinstance(place, Header):
        check_path(field, place)


def place_of(value: Any) -> Any:
    """Return a place that may have travelled as JSON, where a `Header` is an object."""
    return Header(**value) if isinstance(value, dict) else value


def field_text(place: FieldOrHeader) -> str:
    """Return a place for people."""
    return str(place) if isinstance(place, Header) else f"the field {shown(place)}"


class Step(NamedTuple):
    """The next page: its address or path, what its query has besides, and the cursor in its body, if it goes there."""

    target: str
    query: Query
    in_body: Json = None


def pairs_of(query: Query) -> list[tuple[str, str]]:
    """Return a query's names and values, written as in a `Request`: a list several times, `None` not at all."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        several = value if isinstance(value, list | tuple) else (value,)
        pairs.extend((name, text_of(element)) for element in several if element is not None)
    return pairs


class End(NamedTuple):
    """Why a list has no more pages; without values of the answer, which may be personal."""

    reason: str


class NotPaged(ValueError):
    """A page doesn't say what the list's `pages` expects of it; the message says what to do."""


class Answer(NamedTuple):
    """An answer: its status, where it came from in the end, its headers, and its JSON unless it is none of a page's."""

    status: int
    address: str
    headers: Mapping[str, str]
    answer: Json = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list.

    :param number: counted from 1.
    :param target: what was asked for: a path below the connection's address, or a whole address.
    :param query: the query that was sent with it.
    :param address: where the answer came from in the end, redirects followed.
    :param headers: the answer's headers; their names in any case.
    """

    number: int
    target: str
    query: Query
    address: str
    status: int
    headers: Mapping[str, str]
    answer: Json
    items: list[Json]

    def value(self, place: FieldOrHeader) -> Json:
        """Return what stands in a field or in a header.

        :raises PartMissing: when it isn't there; the message names what is.
        """
        if not isinstance(place, Header):
            return ResultPath(place).of(self.answer)
        if (value := self.headers.get(place.name)) is None:
            raise PartMissing(f"the answer has no header {place.name!r}; it has: {named(list(self.headers))}")
        return value.strip()

    def links(self) -> list[Link]:
        """Return the links of the header `Link` that are about this page.

        :raises NotPaged: when a part of the header can't be read, and might be the link to the next page.
        """
        # A DAG file that only names pages reads none.
        from airflow_fanout.api.links import parse

        text = self.headers.get("Link", "")
        # Headers are read as Latin-1; an address that isn't ASCII was meant as UTF-8 (RFC 3987, 3.1).
        with suppress(UnicodeError):
            text = text.encode("latin-1").decode()
        links, rest = parse(text)
        if rest and not any("next" in link.relations for link in links):
            raise NotPaged(f"its Link header can't be read from character {len(text) - len(rest) + 1} on (RFC 8288)")
        # RFC 8288, 3.2: with an anchor, a link is about what that names.
        return [
            link
            for link in links
            if link.anchor is None or urljoin(self.address, link.anchor) == urldefrag(self.address).url
        ]
