"""Lists that would never end, or never come: each ends with a message that says which."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.paging import Cursor, NextLink
from airflow_fanout.model.settings import Retry, Timeouts
from airflow_fanout.sources.errors import BadSource, UnusableList
from tests.http.lists import in_pages, listing, numbered, read, refused
from tests.http.servers import Connection, Seen, Server, answer, as_json, authority, drip, serving

EMPTY, REPEATED, REORDERED = [[]], [["a", "x"], ["b", "x"], ["c", "x"]], [[1, 2], [2, 1]]


@pytest.mark.parametrize("pages", [NextLink(field="next"), Cursor(field="next")], ids=["link", "cursor"])
@pytest.mark.parametrize(
    ("contents", "said", "requests"),
    [
        (EMPTY, "pages 1 to 21 had no items", 21),
        (REPEATED, "pages 4 to 24 brought no item that wasn't there before", 24),
        (REORDERED, "pages 2 to 22 brought no item that wasn't there before", 22),
    ],
    ids=["empty", "repeated", "reordered"],
)
def test_pages_without_anything_new_end_the_list(pages: Any, contents: Any, said: str, requests: int) -> None:
    """A next page that is always there, over empty or repeated pages, is an error after `max_empty_pages`."""
    places = itertools.count(1)

    def handle(_: Seen, __: Connection) -> bytes:
        place = next(places)
        return as_json({"items": contents[place % len(contents)], "next": f"/{place}"})

    with Server(handle) as server:
        problem = refused(listing(pages=pages), server.origin, UnusableList)
    assert said in problem
    assert "max_empty_pages=20" in problem
    assert len(server.seen) == requests


def test_items_are_known_by_the_names_of_the_report() -> None:
    """Items that differ only in fields that the report drops are the same: a time of day makes no page new."""
    with numbered(lambda n: {"items": [{"id": 1, "asked": n}], "next": f"/{n + 1}"}) as server:
        source = listing(pages=NextLink(field="next"), max_empty_pages=3)
        with pytest.raises(UnusableList, match=r"pages 2 to 5 brought no item"):
            read(source, server.origin, names=("id",))
    assert len(server.seen) == 5


def test_empty_pages_between_others_are_read_over() -> None:
    """What counts are pages without anything new in a row; a filter of the API's may leave some empty."""
    with numbered(lambda n: {"items": [n] if n % 4 == 0 else [], "next": f"/{n + 1}" if n < 40 else None}) as server:
        assert len(read(listing(pages=NextLink(field="next"), max_empty_pages=3), server.origin)) == 10


def test_the_number_of_pages_is_bounded() -> None:
    """A list whose every page is new ends at `max_pages`, which the message names."""
    with numbered(lambda n: {"items": [n], "next": f"/{n + 1}"}) as server:
        problem = refused(listing(pages=NextLink(field="next"), max_pages=30), server.origin, UnusableList)
    assert "page 31: the list goes on after max_pages=30 pages, with 30 items so far" in problem
    assert len(server.seen) == 30


def test_a_list_that_has_more_than_its_number_of_items_ends_at_once() -> None:
    """With `total`, an endless list isn't read to any bound."""
    with numbered(lambda n: {"items": [n], "next": f"/{n + 1}", "total": 3}) as server:
        assert "with 4 items, and" in refused(listing(pages=NextLink(field="next"), total="total"), server.origin)
    assert len(server.seen) == 4


def dripping_head(connection: Connection) -> None:
    """Send a header, a byte at a time, that never ends."""
    connection.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        connection.send(b"x")
        connection.pause(0.05)


def dripping_interim(connection: Connection) -> None:
    """Send interim answers for ever."""
    while True:
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.pause(0.05)


@pytest.mark.parametrize("how", [lambda c: drip(c, 0.05), dripping_head, dripping_interim], ids=["body", "head", "100"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_page_that_drips_in_ends_at_its_total_time(how: Any, scheme: str, tmp_path: Path) -> None:
    """A byte now and then keeps no page alive: each try ends at `total_s`, and the message names the setting."""
    ca, context = authority(tmp_path) if scheme == "https" else (None, None)
    source = listing(timeouts=Timeouts(read_s=5, total_s=0.3), retry=Retry(max_attempts=2, initial_delay_s=0))
    with Server(lambda _, connection: how(connection), context) as server:
        endpoint = Endpoint(base_url=server.origin, verify=str(ca) if ca else True)
        begun = time.monotonic()
        with pytest.raises(BadSource, match=r"page 1: it wasn't complete after 0.3 s \(timeouts.total_s") as caught:
            list(source.read(endpoint))
        print(f"a dripping list: {time.monotonic() - begun:.2f} s")
    assert len(server.seen) == 2
    assert caught.value.retry


def test_a_page_over_a_connection_of_its_own_has_the_same_limit() -> None:
    """A header of the connection's that asks for that changes nothing."""
    source = listing(timeouts=Timeouts(read_s=5, total_s=0.3), retry=Retry(max_attempts=1))
    with Server(lambda _, connection: drip(connection, 0.05)) as server:
        endpoint = Endpoint(base_url=server.origin, headers={"Connection": "close"})
        with pytest.raises(BadSource, match=r"it wasn't complete after 0\.3 s"):
            list(source.read(endpoint))


def test_a_page_is_read_in_its_charset() -> None:
    """As the answer to a request is, by whatever way that is sent."""
    page = '{"items": ["Zürich"]}'.encode("latin-1")
    with in_pages(answer(page, "200 OK", "Content-Type: application/json; charset=latin-1")) as server:
        assert read(listing(), server.origin) == ["Zürich"]


@pytest.mark.timeout(60)
def test_a_silent_server_ends_at_the_total_time_too() -> None:
    """What is left of `total_s` limits the wait for the next byte, however long `read_s` is."""

    def silent(_: Seen, connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        connection.pause(100)

    source = listing(timeouts=Timeouts(read_s=100, total_s=0.3), retry=Retry(max_attempts=1))
    with Server(silent) as server:
        assert "it wasn't complete after 0.3 s" in refused(source, server.origin)


def test_a_slow_page_within_its_time_is_read_whole() -> None:
    """The limit breaks off nothing that comes in time, also over a connection that was used before."""

    def slow(seen: Seen, connection: Connection) -> bytes | None:
        body = b'{"items": [%s], "next": %s}' % ((b"1", b'"/2"') if seen.path == "/list" else (b"2", b"null"))
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for place in range(len(body)):
            connection.send(body[place : place + 1])
            connection.pause(0.005)
        return None

    with Server(slow) as server:
        assert read(listing(pages=NextLink(field="next")), server.origin) == [1, 2]
    assert server.connections == 1


def test_a_page_that_is_too_large_names_the_lists_own_setting() -> None:
    """The limit of a page is `max_page_bytes`, and no further try is made."""
    with in_pages({"items": ["x" * 2000]}) as server:
        problem = refused(listing(max_page_bytes=1000), server.origin, UnusableList)
    assert "page 1: it is larger than 1,000 bytes (max_page_bytes of the HttpList)" in problem
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            "401 Unauthorized",
            "or the connection has none (connection 'api')",
        ),
        ("403 Forbidden", "The user of the connection may not read this list (connection 'api')"),
        ("404 Not Found", "check `endpoint` and the connection's host (connection 'api')"),
        ("410 Gone", "page 1: HTTP 410 Gone after 1 attempt(s)"),
    ],
)
def test_a_refusal_ends_the_list_at_once(status: str, said: str) -> None:
    """One request, no retry of the task, and the connection is named."""
    with serving({"/list": answer(b"", status)}) as server:
        assert said in refused(listing(), server.origin, UnusableList)
    assert len(server.seen) == 1


def test_a_page_that_is_no_json_is_asked_for_once_more() -> None:
    """A torn page looks like one that never was JSON; the second one decides, and the page's number is named."""
    pages = {"/list": as_json({"items": [1], "next": "/2"}), "/2": answer(b"<html>")}
    with serving(pages) as server:
        problem = refused(listing(pages=NextLink(field="next")), server.origin)
    assert problem.startswith("page 2: the answer isn't JSON")
    assert "(HTTP 200 from /2) after 2 attempt(s)" in problem
    assert len(server.asked("/2")) == 2


def test_a_years_retry_after_is_no_wait() -> None:
    """What an API asks for beyond `longest_s` fails the list, which says so; the task may be tried again later."""
    waits: list[float] = []
    with serving({"/list": answer(b"", "429 Too Many Requests", "Retry-After: 31536000")}) as server:
        with pytest.raises(BadSource) as caught:
            read(listing(), server.origin, sleep=waits.append)
        assert (len(server.seen), waits, caught.value.retry) == (1, [], True)
    assert "asked us to wait 31,536,000 s, longer than retry.max_retry_after_s=300" in caught.value.problem


def test_a_long_wait_says_why_and_until_when(caplog: pytest.LogCaptureFixture) -> None:
    """Before it begins, in the log; what is being done can be asked for all the time."""
    doing: list[str] = []

    def once(_: Seen, __: Connection) -> bytes:
        return as_json({"items": [7]}) if len(server.seen) > 1 else answer(b"", "503 Busy", "Retry-After: 120")

    with Server(once) as server, caplog.at_level(logging.INFO):
        reading = listing().read(Endpoint(base_url=server.origin), sleep=lambda _: doing.append(reading.doing[0]))
        assert list(reading) == [7]
    assert doing[0].startswith("waiting until 20")
    assert "page 1: HTTP 503 Service Unavailable" in doing[0]
    warned = next(record for record in caplog.records if record.levelno == logging.WARNING)
    assert "page 1: HTTP 503 Service Unavailable. Waiting 120." in warned.getMessage()
    assert "until 20" in warned.getMessage()


def test_a_quota_that_is_used_up_for_long_is_asked_again() -> None:
    """A pause beyond `longest_s` isn't waited for: the API itself says whether it refuses the next page."""
    headers = ("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 3600")
    pages = [as_json({"items": [1], "next": "/2"}, "200 OK", *headers), as_json({"items": [2]})]
    waits: list[float] = []
    with in_pages(*pages) as server:
        assert read(listing(pages=NextLink(field="next")), server.origin, sleep=waits.append) == [1, 2]
    assert waits == []


def test_a_used_up_quota_is_waited_for_before_the_next_page() -> None:
    """A good page that says that nothing is left for 30 s is followed by that pause, as in a fetch."""
    headers = ("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30")
    pages = [as_json({"items": [1], "next": "/2"}, "200 OK", *headers), as_json({"items": [2]}, "200 OK", *headers)]
    waits: list[float] = []
    with in_pages(*pages) as server:
        assert read(listing(pages=NextLink(field="next")), server.origin, sleep=waits.append) == [1, 2]
    assert waits == [30.0]


@contextlib.contextmanager
def speaking_http() -> Iterator[str]:
    """Run a server that takes a TLS handshake for a bad request, as most do; give its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answered() -> None:
            # Shut down before anybody came, it fails.
            with contextlib.suppress(OSError):
                connected, _ = listener.accept()
                with connected:
                    connected.recv(1 << 16)
                    connected.sendall(answer(b"", "400 Bad Request"))

        thread = threading.Thread(target=answered, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("http://nowhere.invalid", {}, "the host's name is unknown here"),
        ("https://{authority}", {}, "the server's certificate isn't trusted ("),
        ("https://{authority}", {"verify": "/nowhere/ca.pem"}, "/nowhere/ca.pem; check `verify` and `cert`"),
        ("https://{authority}", {"cert": "/nowhere/client.pem"}, "check `verify` and `cert`"),
        ("https://{plain}", {}, "TLS isn't possible ("),
        ("http://{authority}", {"proxies": {"http": "http://nowhere.invalid:3128"}}, "the host's name is unknown"),
    ],
    ids=["unknown host", "untrusted certificate", "no CA file", "no client certificate", "no TLS", "unknown proxy"],
)
def test_what_no_waiting_cures_is_told_at_once(url: str, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Before the first answer: one try, no retry of the task, and the cause with what to look at."""
    context: ssl.SSLContext = authority(tmp_path)[1]
    with Server(lambda *_: as_json([]), context) as server, speaking_http() as plain:
        endpoint = Endpoint(base_url=url.format(authority=server.authority, plain=plain), trust_env=False, **options)
        begun = time.monotonic()
        with pytest.raises(UnusableList) as caught:
            list(listing(retry=Retry(max_attempts=5, initial_delay_s=0)).read(endpoint))
        print(f"told after {time.monotonic() - begun:.2f} s")
    assert said in str(caught.value)
    assert "after 1 attempt(s)" in str(caught.value)


def test_a_next_page_at_an_unknown_host_is_tried_again() -> None:
    """After the first answer a name that isn't known may be an outage of the resolver's."""
    with in_pages({"items": [1], "next": "http://nowhere.invalid/2"}) as server:
        problem = refused(listing(pages=NextLink(field="next")), server.origin)
    assert "page 2: " in problem
    assert "after 3 attempt(s)" in problem
