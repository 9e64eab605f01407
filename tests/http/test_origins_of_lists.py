"""Where a list's next page may be, and who gets the connection's credentials."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.paging import NextLink
from airflow_fanout.sources.errors import BadSource, UnusableList
from tests.http.lists import in_pages, listing
from tests.http.servers import Connection, Seen, Server, answer, as_json, redirect

SECRETS = ("authorization", "x-key")


def secret(url: str) -> Endpoint:
    """Return an endpoint with a token and a header of its own."""
    return Endpoint(base_url=url, auth="bearer", password="t0k3n", headers={"X-Key": "k3y"}, trust_env=False)


def leaked(server: Server) -> list[str]:
    """Return the headers with secrets that a server has seen."""
    return [name for seen in server.seen for name in sorted(seen.headers) if name in SECRETS]


@pytest.mark.parametrize("where", ["field", "header"])
@pytest.mark.parametrize("by_redirect", [False, True])
def test_another_origin_gets_no_credentials(where: str, by_redirect: bool) -> None:
    """A next page at another origin is read without the connection's token and headers; the own ones have them."""
    with in_pages({"items": [2]}) as other:
        other_page = f"{other.origin}/2"

        def handle(seen: Seen, _: Connection) -> bytes:
            if seen.path == "/2":
                return redirect(other_page)
            link = "/2" if by_redirect else other_page
            return as_json({"items": [1], "next": link}, "200 OK", f"Link: <{link}>; rel=next")

        pages = NextLink(field="next") if where == "field" else NextLink()
        with Server(handle) as own:
            assert list(listing(pages=pages).read(secret(own.origin))) == [1, 2]
    assert len(other.seen) == 1
    assert leaked(other) == []
    assert leaked(own) == list(SECRETS) * len(own.seen)


@pytest.mark.parametrize(
    "link",
    [
        "http://{other}\\@{own}/2",
        "http://{own}\\@{other}/2",
        "//{other}\\@{own}/2",
        "\\\\{other}/2",
        "/\\{other}/2",
        "http:\\\\{other}/2",
        "http://{own}@{other}/2",
        "http://user:pass@{other}/2",
        "http://user@{own}/2",
        "http://{other}\t@{own}/2",
        "http://{oth\ner}/2",
        "ht\ntp://{other}/2",
        "http://{other}\x00.{own}/2",
        "http:///2",
        "http:/{other}/2",
        "http:2",
        "///{other}/2",
        "http://{other}%2f@{own}/2",
        "http://\uff45xample.com/2",
        "http://:{port}/2",
        "http://{other}:0/2",
        "http://{other}x/2",
        "ftp://{other}/2",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:application/json,[]",
    ],
)
@pytest.mark.parametrize("where", ["field", "header"])
def test_an_address_that_two_readers_read_differently_is_refused(link: str, where: str) -> None:
    """Neither server is asked for such a page, and the address isn't shown: it may hold credentials."""
    with in_pages({"items": [2]}) as other, Server(lambda _, __: first) as own:
        written = link.replace("{oth\ner}", other.authority[:3] + "\n" + other.authority[3:])
        written = written.format(other=other.authority, own=own.authority, port=other.port)
        header = [f"Link: <{written}>; rel=next"] if not any(sign in written for sign in "\r\n\0") else []
        if where == "header" and not header:
            return
        first = as_json({"items": [1], "next": written}, "200 OK", *header)
        pages: Any = NextLink(field="next") if where == "field" else NextLink()
        with pytest.raises(BadSource) as caught:
            list(listing(pages=pages).read(secret(own.origin)))
        assert (len(own.seen), len(other.seen)) == (1, 0)
    assert isinstance(caught.value, UnusableList)
    assert written not in str(caught.value)


def test_a_refusal_at_another_origin_says_that_no_credentials_were_sent() -> None:
    """An API behind a proxy that ends TLS names its next page as http: the message says what happened."""
    with (
        Server(lambda _, __: answer(b"", "401 Unauthorized")) as other,
        in_pages({"items": [1], "next": f"{other.origin}/2"}) as own,
        pytest.raises(BadSource) as caught,
    ):
        list(listing(pages=NextLink(field="next")).read(secret(own.origin)))
    assert f"The page is at {other.origin}, not at {own.origin}: no credentials were sent there" in str(caught.value)


def test_a_list_that_cannot_be_read_shows_no_query() -> None:
    """Neither the message nor what an error was raised from: a query may hold a secret, or somebody's number."""
    query = {"token": "s3cr3t-t0k3n", "tel": "+12025550123"}
    with pytest.raises(BadSource) as caught:
        list(listing(query=query).read(Endpoint(base_url="http://127.0.0.1:1"), sleep=lambda _: None))
    shown = "".join(traceback.format_exception(caught.value))
    assert "Connection refused" in shown
    assert [value for value in ("s3cr3t", "2025550123") if value in shown] == []
