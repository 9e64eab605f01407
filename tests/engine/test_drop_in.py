"""The session over libcurl beside a stock one: the same calls, the same servers, the same answers and exceptions."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3 import Timeout

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.session import USER_AGENT, FanoutSession
from airflow_fanout.engine.function_session.session import CurlSession
from airflow_fanout.model.settings import FetchSettings
from tests.http.servers import Server, answer, as_json, chunked, redirect, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.servers import Connection, Routes, Seen

Ask = Callable[[requests.Session, str], requests.Response]
JSON = "Content-Type: application/json"


def raw(text: bytes) -> Callable[[Seen, Connection], None]:
    """Return a handler that writes these bytes and closes the connection."""

    def handle(_: Seen, connection: Connection) -> None:
        connection.send(text)
        connection.hang_up()

    return handle


def echo(seen: Seen, _: Connection) -> bytes:
    """Say what was asked."""
    headers = dict(sorted(seen.headers.items()))
    return as_json(
        {"method": seen.method, "target": seen.target, "headers": headers, "body": seen.body.decode("latin-1")}
    )


def stuck(_: Seen, connection: Connection) -> None:
    """Say the beginning of a body, and nothing more."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[")
    connection.pause(30)


def reset(_: Seen, connection: Connection) -> None:
    """Break the connection."""
    connection.hang_up(reset=True)


def reset_in_the_body(seen: Seen, connection: Connection) -> None:
    """Break the connection in the middle of a body."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[")
    connection.pause(0.1)
    reset(seen, connection)


FLOOD = "".join(f"X-{number}: 1\r\n" for number in range(101)).encode()
DEFLATED = zlib.compressobj(wbits=-15)
BARE = DEFLATED.compress(b'"bare"') + DEFLATED.flush()
ANSWERS: Routes = {
    "/json": as_json({"a": [1, "ü"]}),
    "/odd-json": answer(b"\xef\xbb\xbf[1]", "200 OK", JSON),
    "/utf-16": answer("[1]".encode("utf-16"), "200 OK", "Content-Type: application/json; charset=utf-16"),
    "/not-json": answer(b"<html>", "200 OK", JSON),
    "/no-type": answer("größer".encode()),
    "/latin": answer("größer".encode("latin-1"), "200 OK", "Content-Type: text/html"),
    "/koi8": answer("привет".encode("koi8-r"), "200 OK", 'Content-Type: text/plain; charset="koi8-r"'),
    "/unknown-charset": answer(b"abc", "200 OK", "Content-Type: text/plain; charset=nonsense"),
    "/lines": answer(b"a\nb\r\nc"),
    "/empty": answer(b""),
    "/none": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/unchanged": b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
    "/missing": answer(b'{"e": 1}', "404 Not Found", JSON),
    "/broken": answer(b"", "500 Internal Server Error", "Retry-After: 7"),
    "/wordless": b"HTTP/1.1 299\r\nContent-Length: 0\r\n\r\n",
    "/wordy": b"HTTP/1.1 200  So  it is \r\nContent-Length: 0\r\n\r\n",
    "/old": raw(b"HTTP/1.0 200 OK\r\nX-A: 1\r\n\r\nold"),
    "/until-the-end": raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil"),
    "/chunked": chunked(b"[1", b",2", b"]"),
    "/continue": b"HTTP/1.1 100 Continue\r\n\r\n" + as_json(1),
    "/gzip": answer(gzip.compress(b'"squeezed"'), "200 OK", "Content-Encoding: gzip", JSON),
    "/deflate": answer(zlib.compress(b'"squeezed"'), "200 OK", "Content-Encoding: deflate"),
    "/bare-deflate": answer(BARE, "200 OK", "Content-Encoding: deflate"),
    "/bad-gzip": answer(b"no gzip at all", "200 OK", "Content-Encoding: gzip"),
    "/unknown-coding": answer(b"abc", "200 OK", "Content-Encoding: rot13"),
    "/twice": answer(b"", "200 OK", "X-A: 1", "x-a: 2", "Link: <http://a/>; rel=next", "Via: b"),
    "/latin-header": b"HTTP/1.1 200 OK\r\nX-A: gr\xf6\xdfer  \r\nX-Empty:\r\nContent-Length: 0\r\n\r\n",
    "/cookies": answer(b"", "200 OK", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; HttpOnly"),
    "/moved": redirect("/echo?moved=1#there", "301 Moved Permanently"),
    "/found": answer(b"x", "302 Found", "Location: /echo", "Set-Cookie: c=3"),
    "/other": redirect("/echo", "303 See Other"),
    "/temporary": redirect("/echo", "307 Temporary Redirect"),
    "/permanent": redirect("/echo", "308 Permanent Redirect"),
    "/chain": redirect("/found"),
    "/relative": redirect("echo?ü=ä b"),
    "/loop": redirect("/loop"),
    "/nowhere-to-go": answer(b"", "302 Found"),
    "/to-another-scheme": redirect("gopher://127.0.0.1/"),
    "/garbled-redirect": answer(b"no gzip", "302 Found", "Location: /echo", "Content-Encoding: gzip"),
    "/late": lambda _, connection: connection.pause(30),
    "/stuck": stuck,
    "/reset": reset,
    "/reset-in-the-body": reset_in_the_body,
    "/gone": lambda _, connection: connection.hang_up(),
    "/short": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"),
    "/bad-chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc"),
    "/short-chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
    "/flood": raw(b"HTTP/1.1 200 OK\r\n" + FLOOD + b"Content-Length: 0\r\n\r\n"),
    "/no-http": raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "/two-lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "/echo": echo,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a server with all of these answers."""
    with serving(ANSWERS) as running:
        yield running


def both(origin: str) -> tuple[requests.Session, requests.Session]:
    """Return a stock session and ours, as alike as they can be."""
    stock, ours = requests.Session(), CurlSession(Endpoint(base_url=origin, trust_env=False), FetchSettings())
    stock.trust_env = False
    stock.headers["User-Agent"] = USER_AGENT
    return stock, ours


def told(ask: Ask, session: requests.Session, origin: str) -> Any:
    """Return all that can be seen of an answer, or of an exception."""
    with session:
        try:
            return seen_of(ask(session, origin))
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
            return failure_of(error)


def failure_of(error: BaseException) -> list[str]:
    """Return the types of an exception and of those inside it."""
    inner = error.args[0] if error.args and isinstance(error.args[0], Exception) else None
    reason = getattr(inner, "reason", None)
    return [type(one).__name__ for one in (error, inner, reason) if one is not None]


def seen_of(response: requests.Response) -> dict[str, Any]:
    """Return what a response has, and what its server has seen of the request."""
    request = response.request
    decoded: Any = "none"
    with suppress(ValueError):
        # Without options it is read as the engine reads it: see test_json_is_read_as_the_engine_reads_it.
        decoded = response.json(parse_constant=None)
    return {
        "status": (response.status_code, response.reason, response.ok, repr(response)),
        "headers": list(response.headers.items()),
        "url": response.url,
        "body": (response.content, response.text, response.encoding, response.apparent_encoding, decoded),
        "pieces": (list(response.iter_content(2)), list(response.iter_lines())),
        "redirects": (response.is_redirect, response.is_permanent_redirect, response.next and response.next.url),
        "history": [(one.status_code, one.url, one.content) for one in response.history],
        "cookies": response.cookies.get_dict(),
        "links": response.links,
        "request": (request.method, request.url, list(request.headers.items()), request.path_url),
        "request's body": request.body if isinstance(request.body, str | bytes | None) else "pieces",
        "raw": [getattr(response.raw, name) for name in ("status", "reason", "version", "closed")],
        "raw headers": list(response.raw.headers.items()),
        "left": response.raw.read(),
        "took time": response.elapsed.total_seconds() > 0,
    }


def asking(method: str, path: str, **options: Any) -> Ask:
    """Return a call."""
    return lambda session, origin: session.request(method, origin + path, **options)


@pytest.mark.parametrize("path", [path for path in ANSWERS if path not in ("/late", "/stuck")])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_answers(server: Server, path: str, method: str) -> None:
    """Whatever a server says, the response or the exception is the same."""
    stock, ours = both(server.origin)
    ask = asking(method, path)
    assert told(ask, ours, server.origin) == told(ask, stock, server.origin)


@pytest.mark.parametrize(
    ("body", "headers", "value"),
    [
        (b"\xef\xbb\xbf[1]", [JSON], [1]),
        ("[1]".encode("utf-16"), [JSON], [1]),
        ('["ö"]'.encode("latin-1"), ["Content-Type: application/json; charset=latin-1"], ["ö"]),
        ('["ö"]'.encode(), ["Content-Type: text/plain"], ["ö"]),
    ],
)
def test_json_is_read_as_the_engine_reads_it(body: bytes, headers: list[str], value: Any) -> None:
    """JSON is read by its mark, its declared charset, or as UTF-8; what `requests` would guess doesn't count."""
    with serving({"/x": answer(body, "200 OK", *headers)}) as server:
        for session in sessions(server.origin):
            with session:
                assert session.get("/x").json() == value


@pytest.mark.parametrize("text", [b"", b"NaN", b'["\\ud800"]', b"{}\n{}", b"9" * 5_000])
def test_json_that_is_none_is_refused_with_the_reason(text: bytes) -> None:
    """What the engine takes for no JSON, a function doesn't get as a value, and nothing of it is in the message."""
    with serving({"/x": answer(text)}) as server:
        for session in sessions(server.origin):
            with session, pytest.raises(requests.JSONDecodeError, match="it "):
                session.get("/x").json()


def test_body_that_ends_in_the_middle_of_its_coding_is_refused() -> None:
    """Half a compressed body isn't taken for a whole one, though `requests` would give what there is of it."""
    half = answer(gzip.compress(b"1" * 999)[:-9], "200 OK", "Content-Encoding: gzip")
    with serving({"/x": half}) as server:
        for session in sessions(server.origin):
            with session, pytest.raises(requests.exceptions.ContentDecodingError, match="ends in the middle"):
                session.get("/x")


def sessions(origin: str) -> tuple[FanoutSession, FanoutSession]:
    """Return a session of each way."""
    endpoint = Endpoint(base_url=origin, trust_env=False)
    return CurlSession(endpoint, FetchSettings()), FanoutSession(endpoint, FetchSettings())


@pytest.mark.parametrize("path", ["/late", "/stuck"])
def test_silence(server: Server, path: str) -> None:
    """A server that says nothing, or no more, ends as a time-out or as a broken connection, in the same words."""
    stock, ours = both(server.origin)
    ask = asking("GET", path, timeout=0.2)
    with pytest.raises(requests.RequestException) as first, stock:
        ask(stock, server.origin)
    with pytest.raises(requests.RequestException) as second, ours:
        ask(ours, server.origin)
    assert failure_of(second.value) == failure_of(first.value)
    assert str(second.value) == str(first.value)


BROKEN = ["/reset", "/gone", "/reset-in-the-body", "/flood", "/loop", "/to-another-scheme"]


@pytest.mark.parametrize("address", [*BROKEN, "http://127.0.0.1:1/x", "http://nowhere.invalid/x"])
def test_words(server: Server, address: str) -> None:
    """The words of an exception, and its request, are the same: authors look into them."""
    whole = address if "://" in address else f"{server.origin}{address}"
    stock, ours = both(whole.removesuffix("/x"))
    with pytest.raises(requests.RequestException) as first, stock:
        stock.get(whole)
    with pytest.raises(requests.RequestException) as second, ours:
        ours.get(whole)
    assert str(second.value) == str(first.value)
    assert (second.value.request is None) == (first.value.request is None)
    assert (second.value.response is None) == (first.value.response is None)


class Signed(AuthBase):
    """Signs a request by what it is."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Signature"] = f"{request.method} {request.path_url} {request.body!r}"
        return request


class Unsigned(AuthBase):
    """Can't sign anything."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        raise LookupError(request.url)


def pieces() -> Iterator[bytes]:
    """Yield a body whose length nobody knows before."""
    yield b"one"
    yield b"two"


def noted(response: requests.Response, *_: Any, **__: Any) -> None:
    """Add what only a hook does, and read the answer as it comes."""
    response.headers["X-Noted"] = response.raw.read(3, decode_content=True).decode() if response.raw else ""


CALLS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "params": {"params": {"a": 1, "b": "ü &=+~/", "c": None, "d": ["x", "y", None], "e": True, "f": 1.5}},
    "params in pairs": {"params": [("a", 1), ("a", 2)]},
    "params as text": {"params": "a=ü&b"},
    "params as bytes": {"params": b"a=1"},
    "no params": {"params": {}},
    "params of nothing": {"params": {"a": None}},
    "broken params": {"params": {"a": "\udcff"}},
    "params that are none": {"params": 7},
    "json": {"json": {"a": [1, None, "ü"]}},
    "empty json": {"json": {}},
    "json of zero": {"json": 0},
    "json that is none": {"json": {"a": float("nan")}},
    "json that can't be": {"json": {"a": object()}},
    "json and data": {"json": [1], "data": "x"},
    "form": {"data": {"a": 1, "b": ["x", "ü"], "c": None}},
    "form in pairs": {"data": [("a", 1), ("a", "ü")]},
    "empty form": {"data": {}},
    "text": {"data": "größer"},
    "text of another alphabet": {"data": "привет"},
    "empty text": {"data": ""},
    "bytes": {"data": b"\x00\xff", "headers": {"Content-Type": "application/octet-stream"}},
    "large": {"data": b"x" * 100_000},
    "pieces": {"data": "each time new ones"},
    "headers": {"headers": {"X-A": "1", "accept": "text/html", "User-Agent": "me"}},
    "headers left out": {"headers": {"Accept": None, "X-Not": None}},
    "header of nothing": {"headers": {"X-Empty": ""}},
    "no user agent": {"headers": {"User-Agent": None}},
    "no encodings": {"headers": {"Accept-Encoding": None}},
    "another host": {"headers": {"Host": "elsewhere.example"}},
    "header in bytes": {"headers": {"X-A": b"gr\xf6\xdfer"}},
    "header in latin-1": {"headers": {"X-A": "größer"}},
    "header in another alphabet": {"headers": {"X-A": "привет"}},
    "header with a line break": {"headers": {"X-A": "1\r\nX-B: 2"}},
    "header that begins with a blank": {"headers": {"X-A": " 1"}},
    "header that ends with one": {"headers": {"X-A": "1  "}},
    "header that is a number": {"headers": {"X-A": 1}},
    "header with an odd name": {"headers": {"X A": "1"}},
    "length that isn't": {"headers": {"Content-Length": "3"}, "data": "xxxxx"},
    "expecting": {"headers": {"Expect": "100-continue"}},
    "closing": {"headers": {"Connection": "close"}},
    "credentials": {"auth": ("ada", "s3cr3t")},
    "credentials in latin-1": {"auth": HTTPBasicAuth("ada", "größer")},
    "signed": {"auth": Signed(), "json": [1]},
    "unsigned": {"auth": Unsigned()},
    "cookies": {"cookies": {"a": "1"}},
    "limit": {"timeout": 5},
    "limits": {"timeout": (5, 7.5)},
    "no limit": {"timeout": None},
    "half a limit": {"timeout": (None, 5)},
    "limit of urllib3": {"timeout": Timeout(5)},
    "three limits": {"timeout": (1, 2, 3)},
    "limit of zero": {"timeout": 0},
    "limit that is none": {"timeout": "soon"},
    "limit that is true": {"timeout": True},
    "not followed": {"allow_redirects": False},
    "streamed": {"stream": True},
    "not streamed": {"stream": False},
    "hooked": {"hooks": {"response": noted}},
    "unchecked": {"verify": False},
    "proxied": {"proxies": {"http": "http://127.0.0.1:1"}},
    "unproxied": {"proxies": {"https": "http://127.0.0.1:1"}},
    "nonsense": {"nonsense": 1},
}


WAYS = [
    *(("/echo", method) for method in ("GET", "POST", "put", "DELETE", "PURGE")),
    *((path, "POST") for path in ("/chain", "/temporary")),
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("path", "method"), WAYS)
def test_calls(server: Server, call: str, path: str, method: str) -> None:
    """Whatever a call says, the same is sent, and the same comes back, also behind redirects."""

    def ask(session: requests.Session, origin: str) -> requests.Response:
        options = CALLS[call] | ({"data": pieces()} if call == "pieces" else {})
        return session.request(method, origin + path, **options)

    stock, ours = both(server.origin)
    assert told(ask, ours, server.origin) == told(ask, stock, server.origin)


TARGETS = [
    *("", "/", "/echo?", "/echo?a=1", "/echo?a=b%20c", "/echo#part", "/echo?a=1#part", "/echo;a=1", "/échö?ü=ö"),
    *("/a b", "/a%2Bb", "/a%2bb", "/%41", "/%zz", "/100%", "/a/../b", "/a/./b", "/a/..", "/.", "/..a", "/a.b/c..d"),
    *("//echo", "/a//b", "/[1]", "/{1}", "/a|b", "/a\\b", '/a"b', "/~a", "/a^b`", "/a\tb", "/ä%C3%A4", "/a?b?c=/d"),
    *(
        "/%2e%2e/b",
        "/%5F",
        "/%2D",
        "/%7E",
        "/%39",
        "/%7a",
        "/%5B%5C%5E%60%7B",
        "/a%2Fb",
        "/@:!$&'()*+,;=",
        "/a\nb",
        "?a=1",
        "#a",
        "/a%00b",
        "/a\x7fb",
    ),
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("params", [None, {"a": "1 2"}])
def test_addresses(server: Server, target: str, params: dict[str, str] | None) -> None:
    """An address is the same on the wire, however it is written."""
    with Server(echo) as echoing:
        stock, ours = both(echoing.origin)
        ask = asking("GET", target, params=params)
        assert told(ask, ours, echoing.origin) == told(ask, stock, echoing.origin)
