"""Where a list ends: told by the server, as the author has declared it, or an error."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.page import Header
from airflow_fanout.api.paging import Cursor, NextLink, PageNumber
from airflow_fanout.errors import BadSetting
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.http_list import HttpList
from tests.http.lists import in_pages, listing, numbered, read, refused
from tests.http.servers import Connection, Seen, Server, answer, as_json, serving

ODATA = "@odata.nextLink"


@pytest.mark.parametrize(
    ("pages", "first", "said"),
    [
        (NextLink(field="nxt"), {"items": [1], "next": "/2"}, "has no field 'nxt'; it has: items, next"),
        (Cursor(field="curser"), {"items": [1], "cursor": "2"}, "has no field 'curser'; it has: cursor, items"),
        (Cursor(field="meta.next"), {"items": [1], "meta": {"after": 2}}, "has no field 'next'; it has: after"),
        (NextLink(field="links.next"), {"items": [1], "links": ["/2"]}, "no field 'next': it is of type list"),
        (NextLink(field=Header("X-Next")), {"items": [1]}, "has no header 'X-Next'; it has: Content-Length"),
        (NextLink(), {"items": [1]}, "the answer has no header 'Link'; it has: Content-Length, Content-Type"),
        (NextLink(), as_json({"items": [1]}, "200 OK", "Link: </a.css>; rel=preload"), "its relations are: preload"),
        (NextLink(), as_json({"items": [1]}, "200 OK", "Link: </2>; rel=self"), "its relations are: self"),
    ],
)
def test_a_field_that_the_first_page_lacks_is_an_error(pages: Any, first: object, said: str) -> None:
    """The list isn't taken to end there: the message names what the page has, and how to say that it may be missing."""
    with in_pages(first) as server:
        problem = refused(listing(pages=pages), server.origin, UnusableList)
    assert said in problem
    assert "optional=True" in problem
    assert len(server.seen) == 1


@pytest.mark.parametrize("pages", [NextLink(field="next", optional=True), NextLink(optional=True)])
def test_a_missing_field_may_be_optional(pages: Any) -> None:
    """Where the author says so, a first page without it is the whole list."""
    with in_pages({"items": [1, 2]}) as server:
        reading = listing(pages=pages).read(Endpoint(base_url=server.origin))
        assert list(reading) == [1, 2]
    assert (reading.pages, reading.items) == (1, 2)
    assert reading.ended in ("page 1 doesn't have the field 'next'", "the Link header of page 1 names no next page")


@pytest.mark.parametrize(
    "last",
    [
        {"items": [2]},
        {"items": [2], "next": None},
        {"items": [2], "next": ""},
    ],
    ids=["absent", "null", "empty"],
)
def test_after_the_first_page_nothing_is_the_end(last: object) -> None:
    """Absent, null and empty are how APIs say that there is no next page."""
    with in_pages({"items": [1], "next": "/2"}, last) as server:
        assert read(listing(pages=NextLink(field="next")), server.origin) == [1, 2]


@pytest.mark.parametrize("first", [{"next": None}, {"next": ""}, {"links": None}], ids=repr)
def test_null_on_the_first_page_is_the_end(first: dict[str, Any]) -> None:
    """A field that is there and says nothing, or an object that is null as a whole, is an answer."""
    field = "links.next" if "links" in first else "next"
    with in_pages({"items": [1], **first}) as server:
        assert read(listing(pages=NextLink(field=field)), server.origin) == [1]


@pytest.mark.parametrize("relations", ["first", "last", '"first last"', "prev", "current"])
def test_a_link_header_that_knows_of_pages_may_have_no_next_one(relations: str) -> None:
    """A first page that is also the last one names only others."""
    with in_pages(as_json({"items": [1]}, "200 OK", f"Link: </list>; rel={relations}")) as server:
        assert read(listing(pages=NextLink()), server.origin) == [1]


@pytest.mark.parametrize(
    "link",
    [
        'Link: </2>; Rel="next"',
        'Link: </2>; rel="next last"',
        "Link: </2?a=1;b=2>; rel=next",
        'Link: </1>; rel=prev\r\nLink: </2>; title="a, b"; rel=NEXT',
        'Link: </9>; rel="next"; anchor="/other", </2>; rel="next"',
        'Link: <2>; rel=next; anchor=""',
    ],
)
def test_a_link_header_is_read_in_full(link: str) -> None:
    """Case, several relations, separators in addresses, several lines, and links about other pages."""

    def handle(seen: Seen, _: Connection) -> bytes:
        is_second = seen.path == "/2"
        return as_json({"items": [2 if is_second else 1]}, "200 OK", *([] if is_second else [link]))

    with Server(handle) as server:
        assert read(listing(pages=NextLink()), server.origin) == [1, 2]


def test_a_link_that_is_not_ascii_is_utf_8() -> None:
    """Headers are read byte for byte; the address that comes out is the one that the server meant."""

    def handle(seen: Seen, _: Connection) -> bytes:
        if seen.target != "/list":
            return as_json({"items": [seen.target]})
        return as_json({"items": ["first"]}, "200 OK", "Link: </list?city=Köln&page=2>; rel=next")

    with Server(handle) as server:
        assert read(listing(pages=NextLink()), server.origin) == ["first", "/list?city=K%C3%B6ln&page=2"]


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("Link: </2; rel=next", "its Link header can't be read from character 1 on"),
        ("Link: </1>; rel=prev, /2; rel=next", "its Link header can't be read from character 17 on"),
        ("Link: </2>; rel=next, </3>; rel=next", "names 2 different next pages"),
    ],
)
def test_a_link_header_that_may_hide_the_next_page_is_an_error(link: str, said: str) -> None:
    """What can't be read isn't taken for the end."""
    with in_pages(as_json({"items": [1]}, "200 OK", link)) as server:
        assert said in refused(listing(pages=NextLink()), server.origin, UnusableList)


@pytest.mark.parametrize("optional", [False, True])
def test_a_field_name_with_a_dot_is_written_as_a_tuple(optional: bool) -> None:
    """The dotted text leads elsewhere, and is refused with the way to write it, even if it may be missing."""
    with in_pages({"items": [1], ODATA: "/2"}, {"items": [2]}) as server:
        problem = refused(listing(pages=NextLink(field=ODATA, optional=optional)), server.origin, UnusableList)
        assert f"a name with a dot in it is written as a tuple: ('{ODATA}',)" in problem
        assert read(listing(pages=NextLink(field=(ODATA,))), server.origin) == [1, 2]


def test_a_tuple_names_fields_wherever_a_path_is_taken() -> None:
    """The items, the next page and the number of items may stand under names with dots."""
    page = {"d.v1": {"rows": [1, 2]}, "@odata.count": 2, "d": {"@odata.nextLink": None}}
    source = listing(items=("d.v1", "rows"), total=("@odata.count",), pages=NextLink(field=("d", ODATA)))
    with in_pages(page) as server:
        assert read(source, server.origin) == [1, 2]
        assert "('d.v1', 'rows')" in refused(listing(items="d.v1.rows"), server.origin)


@pytest.mark.parametrize(
    ("cursor", "sent"),
    [(0, "0"), (False, "false"), (True, "true"), (1.5, "1.5"), ("0", "0"), (10**20, "1" + 20 * "0"), ("a+b/=", None)],
)
def test_a_cursor_is_sent_as_it_is(cursor: Any, sent: str | None) -> None:
    """Zero and false are cursors as any other; booleans are written as JSON has them."""

    def handle(seen: Seen, _: Connection) -> bytes:
        return as_json({"items": [1], "cursor": cursor} if seen.target == "/list" else {"items": [2]})

    with Server(handle) as server:
        assert read(listing(pages=Cursor()), server.origin) == [1, 2]
    assert server.seen[1].target == f"/list?cursor={sent or 'a%2Bb%2F%3D'}"


@pytest.mark.parametrize("cursor", [{"a": 1}, [1], [], {}], ids=repr)
def test_what_cannot_be_sent_as_a_cursor_is_an_error(cursor: Any) -> None:
    """An object or a list is refused, not sent in some form."""
    with in_pages({"items": [1], "cursor": cursor}) as server:
        assert "which can't be sent as a cursor" in refused(listing(pages=Cursor()), server.origin, UnusableList)
    assert len(server.seen) == 1


@pytest.mark.parametrize("last", [0, False, -1, "end", []], ids=repr)
@pytest.mark.parametrize("kind", [Cursor, NextLink])
def test_further_values_can_end_a_list(kind: Any, last: Any) -> None:
    """Those that the author has named do, and only they: 0 isn't false."""
    end = (0, False, -1, "end", [])
    with in_pages({"items": [1], "next": last}) as server:
        assert read(listing(pages=kind(field="next", end=end)), server.origin) == [1]
        others = tuple(value for value in end if repr(value) != repr(last))
        pages = Cursor(name="n", field="next", end=others) if kind is Cursor else NextLink(field="next", end=others)
        with pytest.raises(UnusableList):
            read(listing(pages=pages), server.origin)


def test_a_page_without_items_may_be_the_end() -> None:
    """An API that always names a next page ends its list by an empty one, where the author says so."""
    with numbered(lambda n: {"items": [n] if n < 4 else [], "next": f"/{n + 1}"}) as server:
        assert read(listing(pages=NextLink(field="next", end_empty=True)), server.origin) == [1, 2, 3]
    with numbered(lambda n: {"items": [n] if n < 4 else [], "next": n + 1}) as server:
        assert read(listing(pages=Cursor(field="next", end_empty=True)), server.origin) == [1, 2, 3]


@pytest.mark.parametrize(
    ("total", "headers", "page"),
    [
        ("total", [], {"total": 3}),
        ("meta.count", [], {"meta": {"count": "3"}}),
        (("meta.count",), [], {"meta.count": 3.0}),
        (Header("X-Total-Count"), ["X-Total-Count: 3"], {}),
        (Header("content-range"), ["Content-Range: items 0-1/3"], {}),
    ],
)
def test_the_number_of_items_is_compared(total: Any, headers: list[str], page: dict[str, Any]) -> None:
    """As many items as the server tells are fine, duplicates counted; any other number is an error with both."""
    pages = [{"items": ["a", "a"], "next": "/2", **page}, {"items": ["b"]}]
    source = listing(total=total, pages=NextLink(field="next"))

    def server(last: list[str]) -> Server:
        told = as_json(pages[0], "200 OK", *headers)
        return numbered(lambda number: told if number == 1 else {"items": last})

    with server(["b"]) as right:
        assert read(source, right.origin) == ["a", "a", "b"]
    with server([]) as short:
        assert "the list ended after 2 items, and" in (problem := refused(source, short.origin, UnusableList))
        assert problem.endswith("says that there are 3")
    with server(["b", "c"]) as long:
        assert "page 2 is reached with 4 items, and" in refused(source, long.origin, UnusableList)


def test_a_list_that_grows_while_it_is_read_tells_its_new_number() -> None:
    """The last page with items has the last word; a page beyond the end, which may say 0, has none."""
    pages = [{"items": [1], "total": 1}, {"items": [2], "total": 2}, {"items": [], "total": 0}]
    with in_pages(*pages) as server:
        assert read(listing(total="total", pages=PageNumber()), server.origin) == [1, 2]


@pytest.mark.parametrize("total", [{}, {"total": None}, {"total": True}, {"total": -1}, {"total": "many"}], ids=repr)
def test_a_number_of_items_that_is_none_is_an_error(total: dict[str, Any]) -> None:
    """Where the author says that the number stands, there is one."""
    with in_pages({"items": [1], **total}) as server:
        assert "total: " in refused(listing(total="total"), server.origin, UnusableList)


@pytest.mark.parametrize("status", ["206 Partial Content", "203 Non-Authoritative Information"])
def test_pages_may_be_partial_content(status: str) -> None:
    """206 and 203 are statuses of pages."""
    pages = [as_json({"items": [number]}, status) for number in (1, 2)] + [as_json({"items": []}, status)]
    with in_pages(*pages) as server:
        assert read(listing(pages=PageNumber()), server.origin) == [1, 2]


@pytest.mark.parametrize(
    ("last", "pages", "advice"),
    [
        (answer(b"", "404 Not Found"), PageNumber(end_statuses=(404,)), "end_statuses=(404,)"),
        (answer(b"", "204 No Content"), PageNumber(end_statuses=(204, 404)), "end_statuses=(204,)"),
        (as_json({"items": None}), PageNumber(end_null=True), "end_null=True"),
        (as_json(None), PageNumber(end_null=True), "end_null=True"),
    ],
    ids=["404", "204", "null items", "null"],
)
def test_the_page_after_the_last_may_be_declared_to_be_missing(last: bytes, pages: Any, advice: str) -> None:
    """Declared, it is the end, after page one; not declared, it is an error that says how to declare it."""
    with in_pages({"items": [1]}, {"items": [2]}, last) as server:
        assert read(listing(pages=pages), server.origin) == [1, 2]
        assert advice in refused(listing(pages=PageNumber()), server.origin, UnusableList)
    with in_pages(last) as server:
        refused(listing(pages=pages), server.origin, UnusableList)


def test_a_list_without_pages_that_has_more_is_an_error() -> None:
    """Where the answer itself says so, by a link or by its range, one page isn't taken for the list."""
    with serving(
        {
            "/linked": as_json({"items": [1]}, "200 OK", "Link: </2>; rel=next"),
            "/ranged": as_json({"items": [1]}, "206 Partial Content", "Content-Range: items 0-0/3"),
            "/whole": as_json({"items": [1]}, "206 Partial Content", "Content-Range: items 0-0/1"),
            "/unsaid": as_json({"items": [1]}, "206 Partial Content"),
        }
    ) as server:
        assert "write pages=NextLink()" in refused(listing("/linked"), server.origin, UnusableList)
        assert "a part of the list only (0-0/3" in refused(listing("/ranged"), server.origin, UnusableList)
        assert read(listing("/whole"), server.origin) == read(listing("/unsaid"), server.origin) == [1]


def test_the_query_is_written_as_in_a_request() -> None:
    """Booleans as JSON has them, a list several times, null not at all."""
    query = {"active": True, "old": False, "id": [1, 2], "none": None, "text": "a b"}
    with in_pages({"items": [1]}) as server:
        read(listing(query=query), server.origin)
    assert server.seen[0].target == "/list?active=true&old=false&id=1&id=2&text=a+b"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"pages": "next"}, "pages"),
        ({"pages": NextLink}, "pages"),
        ({"query": "a=1"}, "query"),
        ({"items": "a..b"}, "items"),
        ({"items": ()}, "items"),
        ({"total": 3}, "total"),
        ({"retry": 3}, "retry"),
        ({"timeouts": 30}, "timeouts"),
        ({"max_pages": 0}, "max_pages"),
    ],
)
def test_a_list_is_checked_where_it_is_written(options: dict[str, Any], field: str) -> None:
    """What can't work is an import error of the DAG file."""
    with pytest.raises(BadSetting) as caught:
        HttpList(**{"http_conn_id": "api", "endpoint": "/list", **options})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (NextLink, {"field": ""}),
        (NextLink, {"field": Header("Link")}),
        (NextLink, {"end": "x"}),
        (Cursor, {"optional": 1}),
        (Cursor, {"name": ""}),
        (Cursor, {"field": ["a", ""]}),
        (PageNumber, {"start": "1"}),
        (PageNumber, {"end_statuses": 404}),
        (PageNumber, {"end_statuses": (200,)}),
        (PageNumber, {"end_null": "yes"}),
    ],
)
def test_pages_are_checked_where_they_are_written(kind: Any, options: dict[str, Any]) -> None:
    """A wrong argument of `pages` is an import error of the DAG file."""
    with pytest.raises(BadSetting, match=kind.__name__):
        kind(**options)


def test_a_query_that_json_cannot_hold_is_refused_before_the_first_request() -> None:
    """A date or a set has no form of its own in a query."""
    with in_pages({"items": [1]}) as server, pytest.raises(BadSetting, match="values that JSON can hold"):
        read(listing(query={"day": {1, 2}}), server.origin)
    assert server.seen == []
