"""How the next page is found: pure decisions about the page before it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast, get_args

from msgspec import convert

from airflow_fanout.api.page import (
    PAGE_STATUSES,
    End,
    FieldOrHeader,
    Header,
    NotPaged,
    Page,
    Step,
    check_field_or_header,
    field_text,
)
from airflow_fanout.api.result import PartMissing, Path, check_path, named
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared
from airflow_fanout.model.settings import check_flag, check_statuses, check_whole

# RFC 8288 has "next" in the registry beside these: a page that names one of them knows of pages.
_OF_PAGES = frozenset({"first", "last", "prev", "previous", "current", "start"})


class NextLink(Declared, frozen=True, kw_only=True, tag=True):
    """Each page has the address of the next one: in a field, in a header, or in its `Link` header (RFC 8288).

    Null, an empty text, or, after the first page, nothing in that place is the end of the list.

    :param field: the dotted path of the field (a tuple where a name has a dot), or a `Header`; the `Link` header, if
        not given.
    :param optional: whether the first page may lack it: many APIs leave it out when everything fits on one page.
    :param end: further values that end the list, such as `(False,)`.
    :param end_empty: whether a page without items ends the list, too, whatever it says of a next one.
    """

    field: FieldOrHeader | None = None
    optional: bool = False
    end: Sequence[Json] = ()
    end_empty: bool = False

    def __post_init__(self) -> None:
        if self.field is not None:
            check_field_or_header("NextLink.field", self.field)
        if isinstance(self.field, Header) and self.field.name.lower() == "link":
            raise BadSetting("NextLink.field", self.field, "nothing for the Link header: NextLink()")
        _check_common(self)

    def following(self, page: Page) -> Step | End:
        """Return the next page, or why there is none.

        :raises NotPaged: when the page doesn't say it, or says something that is no address.
        """
        if self.end_empty and not page.items:
            return _empty(page)
        link = _linked(page, optional=self.optional) if self.field is None else _told(page, self, self.field)
        if isinstance(link, End):
            return link
        # A DAG file that only names pages reads none.
        from airflow_fanout.api.next_address import next_address

        return Step(next_address(page, link), {})


class Counted(Declared, frozen=True, kw_only=True):
    """Pages that are found by a number in the query; what is the same for all of these."""

    name: str
    start: int
    end_statuses: Sequence[int] = ()
    end_null: bool = False

    def __post_init__(self) -> None:
        kind = type(self).__name__
        check_whole(f"{kind}.start", self.start, least=0)
        check_statuses(f"{kind}.end_statuses", self.end_statuses)
        if PAGE_STATUSES & {*self.end_statuses}:
            raise BadSetting(f"{kind}.end_statuses", self.end_statuses, "no status that a page has (200, 203, 206)")
        _check_name(f"{kind}.name", self.name)
        check_flag(f"{kind}.end_null", self.end_null)


class PageNumber(Counted, frozen=True, kw_only=True, tag=True):
    """Pages are counted in the query; the first page without items is the end.

    :param name: the query's name for the number.
    :param start: the first page's number.
    :param end_statuses: HTTP statuses that are the end after the first page, such as `(404,)`.
    :param end_null: whether null instead of the items is the end, too, after the first page.
    """

    name: str = "page"
    start: int = 1

    def following(self, page: Page) -> Step | End:
        """Return the next page, or why there is none."""
        if not page.items:
            return _empty(page)
        return Step(page.target, {self.name: page.query[self.name] + 1})


class Offset(Counted, frozen=True, kw_only=True, tag=True):
    """The query says how many items are before the page; the first page without items is the end.

    :param name: the query's name for the number of items before the page.
    :param start: that of the first page.
    :param end_statuses: HTTP statuses that are the end after the first page, such as `(404,)`.
    :param end_null: whether null instead of the items is the end, too, after the first page.
    """

    name: str = "offset"
    start: int = 0

    def following(self, page: Page) -> Step | End:
        """Return the next page, or why there is none."""
        if not page.items:
            return _empty(page)
        # As many as there were: a server may give fewer than it was asked for.
        return Step(page.target, {self.name: page.query[self.name] + len(page.items)})


class Cursor(Declared, frozen=True, kw_only=True, tag=True):
    """Each page tells the cursor of the next one.

    Null, an empty text, or, after the first page, nothing in that place is the end of the list; 0 and false are not.

    :param name: the query's name for the cursor.
    :param in_body: the dotted path in the JSON body of a `Request` that the cursor goes to, instead of the query.
    :param field: the dotted path of the cursor in the answer (a tuple where a name has a dot), or a `Header`.
    :param optional: whether the first page may lack it: many APIs leave it out when everything fits on one page.
    :param end: further values that end the list, such as `(0, False)`.
    :param end_empty: whether a page without items ends the list, too, whatever it says of a next one.
    """

    name: str = "cursor"
    field: FieldOrHeader = "cursor"
    in_body: Path | None = None
    optional: bool = False
    end: Sequence[Json] = ()
    end_empty: bool = False

    def __post_init__(self) -> None:
        _check_name("Cursor.name", self.name)
        if self.in_body is not None:
            check_path("Cursor.in_body", self.in_body)
        check_field_or_header("Cursor.field", self.field)
        _check_common(self)

    def following(self, page: Page) -> Step | End:
        """Return the next page, or why there is none.

        :raises NotPaged: when the page doesn't say it, or says something that can't be sent.
        """
        if self.end_empty and not page.items:
            return _empty(page)
        cursor = _told(page, self, self.field)
        if isinstance(cursor, End):
            return cursor
        if not isinstance(cursor, str | int | float) or (isinstance(cursor, float) and not math.isfinite(cursor)):
            kind = type(cursor).__name__
            raise NotPaged(f"{field_text(self.field)} is of type {kind}, which can't be sent as a cursor")
        return Step(page.target, {self.name: cursor}) if self.in_body is None else Step(page.target, {}, cursor)


Pages = NextLink | PageNumber | Offset | Cursor


def checked_pages(field: str, pages: object) -> Pages:
    """Return a setting that says how pages follow each other, which may have travelled as JSON.

    :raises BadSetting: for anything else.
    """
    if isinstance(pages, get_args(Pages)):
        return cast("Pages", pages)
    if isinstance(pages, Mapping) and "type" in pages:
        return cast("Pages", convert(pages, Pages))
    raise BadSetting(field, pages, "NextLink(…), PageNumber(…), Offset(…) or Cursor(…)")


def _empty(page: Page) -> End:
    return End(f"page {page.number} has no items")


def _told(page: Page, pages: NextLink | Cursor, place: FieldOrHeader) -> Json | End:
    """Return what a page says of the next one; `End` if it says that there is none."""
    here = field_text(place)
    try:
        value = page.value(place)
    except PartMissing as missing:
        if missing.names:
            raise NotPaged(str(missing)) from missing
        if page.number == 1 and not pages.optional:
            kind = type(pages).__name__
            raise NotPaged(
                f"{missing}. If the API leaves it out when everything fits on one page, write {kind}(…, optional=True)"
            ) from missing
        return End(f"page {page.number} doesn't have {here}")
    if value is None or value == "":
        return End(f"{here} of page {page.number} is {'null' if value is None else 'empty'}")
    # To Python, False is 0 and True is 1.
    if any(isinstance(value, bool) is isinstance(last, bool) and value == last for last in pages.end):
        return End(f"{here} of page {page.number} is one of `end`")
    return value


def _linked(page: Page, *, optional: bool) -> Json | End:
    links = page.links()
    targets = {link.target: None for link in links if "next" in link.relations}
    if len(targets) > 1:
        raise NotPaged(f"its Link header names {len(targets)} different next pages")
    for target in targets:
        return target
    relations = sorted({relation for link in links for relation in link.relations})
    if page.number > 1 or optional or _OF_PAGES.intersection(relations):
        return End(f"the Link header of page {page.number} names no next page")
    absence = f"the answer has no header 'Link'; it has: {named(list(page.headers))}"
    if "Link" in page.headers:
        absence = f"its Link header names no page; its relations are: {', '.join(relations) or 'none'}"
    raise NotPaged(
        f"{absence}. If the API leaves it out when everything fits on one page, write NextLink(optional=True); if the "
        "address of the next page is in a field, write NextLink(field=…)"
    )


def _check_common(pages: NextLink | Cursor) -> None:
    kind = type(pages).__name__
    check_flag(f"{kind}.optional", pages.optional)
    check_flag(f"{kind}.end_empty", pages.end_empty)
    if isinstance(pages.end, str) or not isinstance(pages.end, Sequence):
        raise BadSetting(f"{kind}.end", pages.end, "a tuple of the values that end the list, such as (0, False)")


def _check_name(field: str, value: object) -> None:
    if not isinstance(value, str) or not value or "{{" in value:
        raise BadSetting(field, value, "a name in the query; templates are rendered in `endpoint` and `query` only")
