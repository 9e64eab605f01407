from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.paging import Cursor, NextLink, PageNumber
from airflow_fanout.model.settings import Retry
from airflow_fanout.sources.errors import BadSource
from airflow_fanout.sources.http_list import HttpList
from harness.service import DemoService
from tests.http.servers import Server, answer, as_json, paths, redirect, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_fanout.codec import Json
    from tests.http.servers import Connection, Seen

QUICK = Retry(max_attempts=3, initial_delay_s=0.0)


@pytest.fixture(scope="module")
def service() -> Iterator[DemoService]:
    """Give a service with 120 subscribers."""
    with DemoService.start(subscribers=120) as running:
        yield running


def listing(endpoint: str = "/list", **options: Any) -> HttpList:
    """Return a list of a connection that tests don't look up."""
    return HttpList(http_conn_id="api", endpoint=endpoint, **{"retry": QUICK, **options})


def read(source: HttpList, url: str) -> list[Json]:
    """Read all of a list, without waiting between attempts."""
    return list(source.read(Endpoint(base_url=url), sleep=lambda _: None))


def refused(source: HttpList, url: str) -> str:
    """Return the words with which a list is refused."""
    with pytest.raises(BadSource) as caught:
        read(source, url)
    assert "the HTTP list /list (api)" in str(caught.value)
    return caught.value.problem


def in_pages(*pages: object) -> Server:
    """Return a server whose page N is at /N, or where the query ends in N; anything else is the first page."""

    def handle(seen: Seen, _: Connection) -> bytes:
        last = re.split("[=/]", seen.target)[-1]
        place = int(last) - 1 if last.isdigit() else 0
        return as_json(pages[min(place, len(pages) - 1)])

    return Server(handle)


def test_array(service: DemoService) -> None:
    """An answer that is an array is the list."""
    everyone = read(listing("/subscribers.json"), service.url)
    assert len({one["tel"] for one in everyone}) == 120


@pytest.mark.parametrize(
    ("query", "pages"),
    [
        ({"per_page": 50}, NextLink(field="next")),
        ({"per_page": 50}, NextLink()),
        ({"per_page": 50}, PageNumber()),
        ({"per_page": 50}, Cursor()),
    ],
    ids=["field", "header", "number", "cursor"],
)
def test_pages_are_the_whole_list(service: DemoService, query: dict[str, int], pages: Any) -> None:
    """By next link in a field or a header, by page number and by cursor: all pages are read, each once, in order."""
    source = listing("/subscribers", items="subscribers", query=query, pages=pages)
    assert read(source, service.url) == read(listing("/subscribers.json"), service.url)


def test_array_under_a_dotted_field() -> None:
    """The array may stand anywhere in the answer."""
    with serving({"/list": as_json({"data": {"found": [{"items": [1, 2]}]}})}) as server:
        assert read(listing(items="data.found.0.items"), server.origin) == [1, 2]


def test_pages_are_not_read_ahead() -> None:
    """The second page isn't asked for before the first is consumed: a limit of ten doesn't fetch the whole list."""
    with in_pages([1, 2], [3, 4], []) as server:
        items = listing(pages=PageNumber()).read(Endpoint(base_url=server.origin))
        assert list(islice(items, 2)) == [1, 2]
        assert len(server.seen) == 1
        assert list(items) == [3, 4]
        assert len(server.seen) == 3


@pytest.mark.parametrize("link", ["/v1/more?page=2", "more?page=2", "?page=2", "{origin}/v1/more?page=2"])
@pytest.mark.parametrize("where", ["field", "header"])
def test_links_are_relative_to_their_page(link: str, where: str) -> None:
    """A link is read as RFC 3986 says: from the server's root, from the page's address, or as a whole one."""

    def handle(seen: Seen, _: Connection) -> bytes:
        if "page=2" in seen.target:
            return as_json({"items": [2]})
        target = link.format(origin=server.origin)
        if where == "header":
            return as_json({"items": [1]}, "200 OK", f'Link: </first>; rel="first", <{target}>; rel="next"')
        return as_json({"items": [1], "next": target})

    with Server(handle) as server:
        pages = NextLink(field="next") if where == "field" else NextLink()
        source = listing("/list", items="items", query={"size": 1}, pages=pages)
        assert read(source, f"{server.origin}/v1") == [1, 2]
    assert server.seen[0].target == "/v1/list?size=1"
    assert server.seen[1].target in ("/v1/more?page=2", "/v1/list?page=2")


def test_number_and_cursor_keep_the_query() -> None:
    """What the list's own query says is asked for on each page."""
    with in_pages({"items": [1], "after": {"cursor": "2"}}, {"items": [2], "after": {"cursor": ""}}) as server:
        pages = Cursor(name="from", field="after.cursor")
        assert read(listing(items="items", query={"active": "yes"}, pages=pages), server.origin) == [1, 2]
    assert [seen.target for seen in server.seen] == ["/list?active=yes", "/list?active=yes&from=2"]


@pytest.mark.parametrize(
    ("pages", "answers", "said"),
    [
        (NextLink(field="next"), [{"items": [1], "next": "/list"}], "it is page 1 again: the list goes in a circle"),
        (
            NextLink(field="next"),
            [{"items": [1], "next": "/2"}, {"items": [2], "next": "/2"}],
            "page 3: it is page 2 again",
        ),
        (Cursor(), [{"items": [1], "cursor": "1"}], "it is page 2 again"),
        (PageNumber(), [{"items": [1]}, {"items": [2]}], "page 3: it is the same as the one before it"),
        (
            NextLink(field="next"),
            [{"items": [1], "next": {"href": "/2"}}],
            "is of type dict, not an address",
        ),
        (
            NextLink(field="next"),
            [{"items": [1], "next": "http://[/"}],
            "its next page can't be asked for",
        ),
    ],
)
def test_pages_that_lead_nowhere(pages: Any, answers: list[Any], said: str) -> None:
    """Pages that go round in a circle, or whose link is none, are refused instead of read for ever."""
    with in_pages(*answers) as server:
        assert said in refused(listing(items="items", pages=pages), server.origin)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (as_json({"rows": [1]}), "the answer has no field 'items'; it has: rows (HTTP 200 from /list)"),
        (as_json({"items": {"a": 1}}), "page 1: the field 'items' is of type dict, not an array"),
        (as_json({"items": None}), "page 1: the field 'items' is of type NoneType, not an array"),
        (answer(b"<html>Please log in</html>"), "(HTTP 200 from /list)"),
        (answer(b"[" * 100_000), "(HTTP 200 from /list)"),
        (answer(b"", "401 Unauthorized"), "HTTP 401 Unauthorized after 1 attempt(s)"),
        (answer(b"", "204 No Content"), "HTTP 204 No Content after 1 attempt(s)"),
        (answer(b"", "502 Bad Gateway"), "HTTP 502 Bad Gateway after 3 attempt(s)"),
        (redirect("/list"), "Exceeded 30 redirects. after 1 attempt(s)"),
    ],
)
def test_answers_that_are_no_list(reply: bytes, said: str) -> None:
    """An answer without the array is refused with what it is; a status that may pass is tried again before that."""
    with serving({"/list": reply}) as server:
        assert said in refused(listing(items="items"), server.origin)


def test_nobody_listens() -> None:
    """A server that isn't there is named as such."""
    assert "Connection refused after 3 attempt(s)" in refused(listing(), "http://127.0.0.1:1")


def test_wrong_token() -> None:
    """Credentials that the service refuses show as its status, those that it takes give the list."""
    with DemoService.start(subscribers=3, token="t0k3n") as service:
        source = listing("/subscribers.json")
        with pytest.raises(BadSource, match="HTTP 401"):
            read(source, service.url)
        endpoint = Endpoint(base_url=service.url, auth="bearer", password="t0k3n")
        assert len(list(source.read(endpoint))) == 3


def test_server_error_then_fine() -> None:
    """A page that fails at first is asked for again, after the wait that the server asks for."""
    waits: list[float] = []

    def flaky(_: Seen, __: Connection) -> bytes:
        return as_json([7]) if len(server.seen) > 2 else answer(b"", "503 Service Unavailable", "Retry-After: 5")

    with Server(flaky) as server:
        assert list(listing().read(Endpoint(base_url=server.origin), sleep=waits.append)) == [7]
    assert waits == [5.0, 5.0]


def test_failure_on_a_later_page_comes_after_the_earlier_items() -> None:
    """A page that can't be had fails the list when it is reached; what came before has come."""
    routes = {"/list": as_json({"items": [1], "next": "/gone"}), "/gone": answer(b"", "410 Gone")}
    with Server(paths(routes)) as server:
        items = listing(items="items", pages=NextLink(field="next")).read(Endpoint(base_url=server.origin))
        assert next(items) == 1
        with pytest.raises(BadSource, match="HTTP 410 Gone"):
            next(items)


def test_one_connection_for_all_pages() -> None:
    """All pages come over one connection."""
    with in_pages([1], [2], [3], []) as server:
        assert read(listing(pages=PageNumber()), server.origin) == [1, 2, 3]
    assert server.connections == 1


def test_templates_are_rendered_in_path_and_query() -> None:
    """Rendering touches the path and the query, and leaves the list itself as it is."""
    source = listing("/{{ ds }}", query={"day": "{{ ds }}"})
    rendered = source.rendered(lambda value: json.loads(json.dumps(value).replace("{{ ds }}", "2026-11-22")))
    assert (rendered.endpoint, rendered.query) == ("/2026-11-22", {"day": "2026-11-22"})
    assert source.endpoint == "/{{ ds }}"
