"""What a connection and a request can say, on the wire: the same by both transports."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.launch.stop_reasons import LongPause
from airflow_fanout.model.outcome import Failure, Kind, Record
from airflow_fanout.model.settings import Retry, Timeouts
from tests.engine.harness import Run, frozen, job, run, settings
from tests.http.http2 import Http2Server
from tests.http.servers import Server, answer, as_json, authority, chunked, drip, paths, proxy, redirect, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engine.harness import Sending
    from tests.http.servers import Connection, Routes, Seen

ASK = Request(endpoint="/{0}")
ENVIRONMENT = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle")
BASIC = "Basic " + base64.b64encode(b"ada:s3cr3t").decode()
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
SECRETS = {"authorization", "x-api-key"}
# "squeezed", by Brotli's own program; Python has no encoder for it.
BROTLI = b'\x8b\x04\x80"squeezed"\x03'

Fetch = Callable[..., Run]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def fetch(tmp_path: Path, sending: Sending) -> Fetch:
    """Give a function that asks for some parameters, by either transport in turn."""

    def fetch(
        where: Server | Endpoint, *parameters: object, request: Request = ASK, concurrency: int = 4, **more: Any
    ) -> Run:
        endpoint = where if isinstance(where, Endpoint) else Endpoint(base_url=where.origin)
        directory = frozen(tmp_path, parameters or ["x"])
        return run(job(directory, request, endpoint, sending(concurrency, **more)))

    return fetch


@pytest.fixture
def api() -> Iterator[Server]:
    """Give a server that says what it was asked for."""
    with Server(lambda seen, _: as_json(seen.path)) as server:
        yield server


def only(found: Run) -> Record:
    """Return the record of the only parameter."""
    [record] = found.records
    return record


# --- the request ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_form(api: Server, fetch: Fetch, method: str) -> None:
    """A form goes out as browsers send it, with its type and length, whatever the method."""
    form = {"tel": "{tel}", "text": "a b&ü"}
    found = fetch(api, {"tel": "+1"}, request=Request(endpoint="/form", method=method, form=form))
    assert only(found).kind is Kind.OK
    [seen] = api.asked("/form")
    assert (seen.method, seen.body) == (method, b"tel=%2B1&text=a+b%26%C3%BC")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"


def test_base_address_has_a_path(api: Server, fetch: Fetch) -> None:
    """The request's path and query stand below the base address and its path; the client says who it is."""
    request = Request(endpoint="/calls/{0}?fixed=ü", query={"day": "1 2"})
    fetch(Endpoint(base_url=f"{api.origin}/v1/api"), "a/b", request=request)
    [seen] = api.seen
    assert (seen.method, seen.target) == ("GET", "/v1/api/calls/a%2Fb?fixed=%C3%BC&day=1+2")
    assert seen.headers["user-agent"].startswith("airflow-fanout (")
    assert seen.headers["host"] == api.authority
    assert "gzip" in seen.headers["accept-encoding"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [None, {"of": "{0}", "long": "x" * 2_000_000}], ids=["bare", "body"])
def test_methods_and_bodies(api: Server, fetch: Fetch, method: str, body: Any) -> None:
    """Each method is sent as it is, with its JSON body or without one, in one piece."""
    assert only(fetch(api, 7, request=Request(endpoint="/x", method=method, json=body))).kind is Kind.OK
    [seen] = api.seen
    assert seen.method == method
    assert seen.body == (b"" if body is None else json.dumps({**body, "of": 7}, separators=(",", ":")).encode())
    assert seen.headers.get("content-type") == (None if body is None else "application/json")
    assert "expect" not in seen.headers
    assert method in ("GET", "DELETE") or seen.headers["content-length"] == str(len(seen.body))


def test_headers(api: Server, fetch: Fetch) -> None:
    """The request's headers win over the connection's, whatever their case; an empty one is sent as such."""
    endpoint = Endpoint(base_url=api.origin, headers={"X-Key": "conn", "X-More": "é", "User-Agent": "me", "X-Not": ""})
    request = Request(endpoint="/{0}", headers={"x-key": "own {0}", "Accept": "text/json"})
    fetch(endpoint, "a", request=request)
    headers = api.seen[0].headers
    assert {name: headers[name] for name in ("x-key", "x-more", "user-agent", "x-not", "accept")} == {
        "x-key": "own a",
        "x-more": "é",
        "user-agent": "me",
        "x-not": "",
        "accept": "text/json",
    }


@pytest.mark.parametrize("text", ["k3y\r\nX-Smuggled: 1", "k3y\n"])
def test_header_with_a_line_break_is_not_sent(api: Server, fetch: Fetch, text: str) -> None:
    """A connection's header that would become two ends each parameter as `error`, and nothing is sent."""
    found = fetch(Endpoint(base_url=api.origin, headers={"X-Key": text}), "a", "b")
    assert found.progress.kinds == {"error": 2}
    assert api.seen == []


# --- credentials ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"login": "ada", "password": "s3cr3t"}, BASIC),
        ({"login": "ada", "password": "é"}, "Basic " + base64.b64encode("ada:é".encode("latin-1")).decode()),
        ({"login": "ada"}, "Basic " + base64.b64encode(b"ada:").decode()),
        ({"password": "t0k3n", "auth": "bearer"}, "Bearer t0k3n"),
        ({"login": "ada", "password": "s3cr3t", "headers": {"Authorization": "mine"}}, BASIC),
        ({"headers": {"Authorization": "mine"}}, "mine"),
        ({"password": "t0k3n"}, None),
        ({}, None),
    ],
)
def test_credentials(api: Server, fetch: Fetch, given: dict[str, Any], sent: str | None) -> None:
    """A login makes basic authentication, `bearer` sends the token, and they win over a header."""
    fetch(Endpoint(base_url=api.origin, **given))
    assert [seen.headers.get("authorization") for seen in api.seen] == [sent]


def digest(seen: Seen, _: Connection) -> bytes:
    """Challenge whoever shows no credentials."""
    has_them = seen.headers.get("authorization", "").startswith('Digest username="ada"')
    return as_json(seen.method) if has_them else answer(b"no", "401 Unauthorized", CHALLENGE)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_digest(fetch: Fetch, method: str) -> None:
    """Digest answers the challenge, also for a request that isn't to be repeated; the password isn't sent."""
    with Server(digest) as server:
        endpoint = Endpoint(base_url=server.origin, login="ada", password="s3cr3t", auth="digest")
        body = None if method == "GET" else {"a": 1}
        found = fetch(endpoint, 1, 2, 3, request=Request(endpoint="/{0}", method=method, json=body), concurrency=1)
    assert [record.result for record in found.records] == [method] * 3
    assert all("s3cr3t" not in str(seen.headers) for seen in server.seen)
    # The body arrives once for each parameter with credentials.
    assert [seen.body for seen in server.seen if "authorization" in seen.headers] == [b'{"a":1}' if body else b""] * 3


def test_netrc(api: Server, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a login of the connection's own, netrc has one, unless the environment isn't trusted."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password s3cr3t\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for trusted in (True, False):
        fetch(Endpoint(base_url=api.origin, trust_env=trusted))
    assert [seen.headers.get("authorization") for seen in api.seen] == [BASIC, None]


# --- redirects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["basic", "bearer", "digest"])
def test_redirect_to_another_origin_takes_no_secrets(fetch: Fetch, auth: Any) -> None:
    """Somebody else's server gets neither credentials nor the connection's headers; within the origin they stay."""
    with Server(lambda *_: as_json("there")) as other:

        def handle(seen: Seen, connection: Connection) -> bytes:
            if auth == "digest" and "authorization" not in seen.headers:
                return digest(seen, connection)
            return redirect("/on") if seen.path == "/x" else redirect(f"{other.origin}/end")

        with Server(handle) as server:
            endpoint = Endpoint(
                base_url=server.origin, login="ada", password="s3cr3t", auth=auth, headers={"X-Api-Key": "k3y"}
            )
            found = fetch(endpoint)
    assert (only(found).kind, only(found).result, only(found).status) == (Kind.OK, "there", 200)
    assert [set(seen.headers) & SECRETS for seen in other.seen] == [set()]
    assert {seen.path for seen in server.seen} == {"/x", "/on"}
    assert server.seen[-1].headers["x-api-key"] == "k3y"
    assert "authorization" in server.seen[-1].headers


@pytest.mark.parametrize(("status", "then"), [("303 See Other", "GET"), ("307 Temporary Redirect", "POST")])
def test_redirected_post_is_sent_once(fetch: Fetch, status: str, then: str) -> None:
    """What isn't to be repeated reaches its own address once; where it leads is asked as the status says."""
    with serving({"/x": redirect("/made", status), "/made": as_json("made")}) as server:
        found = fetch(server, request=Request(endpoint="/{0}", method="POST", json={"a": 1}))
    assert only(found).result == "made"
    assert [(seen.method, seen.path) for seen in server.seen] == [("POST", "/x"), (then, "/made")]
    assert server.seen[1].body == (b"" if then == "GET" else b'{"a":1}')


def test_cookies_count_within_a_chain_of_redirects_only(fetch: Fetch) -> None:
    """A cookie that comes with a redirect is sent to where it leads, and not with the next parameter."""
    routes: Routes = {
        "/login": answer(b"gone", "302 Found", "Location: /inside", "Set-Cookie: who=ada"),
        "/inside": as_json(1),
        "/next": as_json(2),
    }
    with serving(routes) as server:
        found = fetch(server, "login", "next", concurrency=1)
    assert found.progress.kinds == {"ok": 2}
    assert {seen.path: seen.headers.get("cookie") for seen in server.seen} == {
        "/login": None,
        "/inside": "who=ada",
        "/next": None,
    }


def test_redirects_of_many(fetch: Fetch, sending: Sending) -> None:
    """When all are redirected, no more are under way than the concurrency, and the log says once who follows."""
    now, most = [0], [0]

    def slow(_: Seen, connection: Connection) -> bytes:
        now[0] += 1
        most[0] = max(most[0], now[0])
        connection.pause(0.02)
        now[0] -= 1
        return as_json("there")

    def handle(seen: Seen, connection: Connection) -> bytes:
        return slow(seen, connection) if seen.path.endswith("there") else redirect(f"{seen.path}-there")

    with Server(handle) as server:
        found = fetch(server, *range(60), concurrency=5)
    assert found.progress.kinds == {"ok": 60}
    assert most[0] <= 5
    assert len(found.notes) == (sending().transport == "curl")


# --- answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_compression(fetch: Fetch, coding: str) -> None:
    """An answer is decompressed by whatever coding the client has said that it takes."""
    text = b'"squeezed"'
    squeezed = {"gzip": gzip.compress(text), "deflate": zlib.compress(text), "br": BROTLI}

    def handle(seen: Seen, _: Connection) -> bytes:
        takes = coding in seen.headers["accept-encoding"]
        return answer(squeezed[coding], "200 OK", f"Content-Encoding: {coding}") if takes else answer(text)

    with Server(handle) as server:
        assert only(fetch(server)).result == "squeezed"


def test_chunked(fetch: Fetch) -> None:
    """An answer in chunks, with extensions and a trailer, is one answer, and its connection is used again."""
    with Server(lambda *_: chunked(b'{"a":', b"1", b"}")) as server:
        found = fetch(server, *range(5), concurrency=1)
    assert [record.result for record in found.records] == [{"a": 1}] * 5
    assert server.connections == 1


def test_answer_that_ends_with_its_connection(fetch: Fetch) -> None:
    """An answer without a length ends where the connection does."""

    def handle(_: Seen, connection: Connection) -> None:
        connection.send(b"HTTP/1.0 200 OK\r\n\r\n[1]")
        connection.hang_up()

    with Server(handle) as server:
        assert only(fetch(server)).result == [1]


def test_quota_in_a_good_answer_is_heard(fetch: Fetch) -> None:
    """A good answer that says it was the last one for an hour ends the fetch until then."""
    with Server(lambda *_: as_json(1, "200 OK", "RateLimit-Remaining: 0", "RateLimit-Reset: 3600")) as server:
        found = fetch(server, *range(20), concurrency=1, retry=Retry())
    assert found.reason == LongPause(3600)
    assert [record.kind for record in found.records] == [Kind.OK]


# --- connections ------------------------------------------------------------------------------------------


def test_connections_are_kept(api: Server, fetch: Fetch) -> None:
    """One request after the other goes over one connection."""
    assert fetch(api, *range(20), concurrency=1).progress.kinds == {"ok": 20}
    assert api.connections == 1


def test_connection_that_the_server_ends(fetch: Fetch) -> None:
    """A server that announces the end of its connection after a few answers costs new ones and no outcome."""
    left: dict[Connection, int] = {}

    def handle(seen: Seen, connection: Connection) -> None:
        left[connection] = left.get(connection, 3) - 1
        connection.send(as_json(seen.path, "200 OK", *([] if left[connection] else ["Connection: close"])))
        if not left[connection]:
            connection.hang_up()

    with Server(handle) as server:
        found = fetch(server, *range(30), concurrency=2)
    assert found.progress.kinds == {"ok": 30}
    assert len(server.seen) == 30
    assert server.connections >= 10


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_connection_that_dies_with_a_request(fetch: Fetch, method: str) -> None:
    """A request whose kept connection dies before an answer is sent again if that does no harm, else never."""
    asked: dict[Connection, int] = {}

    def handle(seen: Seen, connection: Connection) -> bytes:
        asked[connection] = asked.get(connection, 0) + 1
        if asked[connection] == 2:
            connection.hang_up(reset=True)
        return as_json(seen.path)

    with Server(handle) as server:
        retry = Retry(max_attempts=9, initial_delay_s=0.01, last_pass=False)
        found = fetch(server, *range(10), request=Request(endpoint="/{0}", method=method), concurrency=1, retry=retry)
    times = [len(server.asked(f"/{number}")) for number in range(10)]
    if method == "POST":
        assert times == [1] * 10
    else:
        assert found.progress.kinds == {"ok": 10}
        assert max(times) > 1


def test_ipv6(fetch: Fetch) -> None:
    """An address of IPv6 is an address."""
    try:
        server = Server(lambda seen, _: as_json(seen.headers["host"]), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert only(fetch(server)).result == server.authority


def test_unknown_host(fetch: Fetch) -> None:
    """A host that nobody knows is a `connection_error` that says so."""
    outcome = only(fetch(Endpoint(base_url="http://nowhere.invalid")))
    assert (outcome.kind, outcome.failure and outcome.failure.type) == (Kind.CONNECTION_ERROR, "ConnectionError")
    assert "resolve" in str(outcome.failure)


# --- time limits ------------------------------------------------------------------------------------------


def hangs(seen: Seen, connection: Connection) -> None:
    """Say nothing, or stop in the middle of a body."""
    if seen.path == "/body":
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[")
    connection.pause(30)


@pytest.mark.parametrize("where", ["start", "body"])
def test_silence(fetch: Fetch, where: str) -> None:
    """A server that is silent for longer than the read timeout has timed out, before its answer or in it."""
    with Server(hangs) as server:
        found = fetch(server, where, timeouts=Timeouts(read_s=0.3, total_s=10))
    [record] = found.records
    assert record.kind is Kind.TIMEOUT
    assert "Read timed out." in str(record.failure)
    assert record.ms >= 300


def test_slow_answer_is_not_silence(fetch: Fetch) -> None:
    """A byte now and then is no silence: such an answer ends with the total time only."""
    with Server(lambda _, connection: drip(connection, 0.1)) as server:
        found = fetch(server, timeouts=Timeouts(read_s=0.3, total_s=1.0))
    assert only(found).failure == Failure("TotalTimeout", "no answer within 1 s in total")


# Not by requests: Python's own `sendall` has the read timeout for the whole of a body.
@pytest.mark.parametrize("sending", ["curl"], indirect=True)
def test_slow_reader_is_not_silence(fetch: Fetch) -> None:
    """A server that takes a large body little by little isn't silent, however long it takes."""

    def slowly(connected: socket.socket) -> None:
        with connected:
            taken = b""
            while b"\r\n\r\n" not in taken:
                taken += connected.recv(1 << 16)
            head, _, body = taken.partition(b"\r\n\r\n")
            left = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
            while left > 0:
                left -= len(connected.recv(1 << 18))
                time.sleep(0.02)
            connected.sendall(as_json("taken"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        # What the kernel keeps for the server to read has gone out, to the client.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        serving_it = threading.Thread(target=lambda: slowly(listener.accept()[0]))
        serving_it.start()
        found = fetch(
            Endpoint(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}"),
            request=Request(endpoint="/{0}", method="PUT", json="x" * 12_000_000),
            timeouts=Timeouts(read_s=2, total_s=20),
        )
        serving_it.join()
    [record] = found.records
    assert (record.kind, record.ms > 2000) == (Kind.OK, True)


def test_connection_that_never_stands(fetch: Fetch) -> None:
    """A server that doesn't answer the TLS handshake runs into the connect timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint(base_url=f"https://127.0.0.1:{silent.getsockname()[1]}")
        found = fetch(endpoint, timeouts=Timeouts(connect_s=0.3, read_s=0.4, total_s=10))
    [record] = found.records
    assert record.kind is Kind.TIMEOUT
    assert record.ms >= 300


# --- https ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Give an authority's file and a server's context."""
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secure(ca: tuple[Path, ssl.SSLContext]) -> Iterator[Server]:
    """Give a server with a certificate of that authority."""
    with Server(lambda *_: as_json("secure"), tls=ca[1]) as server:
        yield server


def test_certificates_are_checked(secure: Server, fetch: Fetch) -> None:
    """A server whose authority nobody knows isn't talked to."""
    outcome = only(fetch(secure))
    assert (outcome.kind, outcome.failure and outcome.failure.type) == (Kind.CONNECTION_ERROR, "SSLError")
    assert secure.seen == []


@pytest.mark.parametrize("by", ["file", "folder", "environment", "nobody"])
def test_own_authority(
    secure: Server, ca: tuple[Path, ssl.SSLContext], fetch: Fetch, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """The connection's CA, as a file or a folder of OpenSSL's, the environment's, or none if the connection says so."""
    verify: dict[str, bool | str] = {"file": str(ca[0]), "folder": str(ca[0].parent), "nobody": False}
    if by == "environment":
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca[0]))
    elif by == "folder":
        import subprocess

        subprocess.run(["openssl", "rehash", str(ca[0].parent)], check=True, capture_output=True)
    found = fetch(Endpoint(base_url=secure.origin, verify=verify.get(by, True)), *range(6), concurrency=2)
    assert found.progress.kinds == {"ok": 6}
    assert secure.connections <= 2


@pytest.mark.parametrize("shows", [True, False])
def test_client_certificate(ca: tuple[Path, ssl.SSLContext], fetch: Fetch, shows: bool) -> None:
    """A server that wants to see a certificate gets the connection's."""
    own = ca[0].with_name("server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    context.load_verify_locations(ca[0])
    context.verify_mode = ssl.CERT_REQUIRED
    with Server(lambda *_: as_json("known"), tls=context) as server:
        cert = (str(own), str(own)) if shows else None
        outcome = only(fetch(Endpoint(base_url=server.origin, verify=str(ca[0]), cert=cert)))
    assert outcome.kind is (Kind.OK if shows else Kind.CONNECTION_ERROR)


# --- proxies ----------------------------------------------------------------------------------------------


@pytest.fixture
def gateway() -> Iterator[Server]:
    """Give a proxy."""
    with Server(proxy) as server:
        yield server


@pytest.mark.parametrize("by", ["connection", "environment"])
def test_proxy(api: Server, gateway: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A proxy of the connection's or of the environment's is asked by absolute addresses, with its own credentials."""
    address = f"http://eve:p%40ss@{gateway.authority}"
    if by == "environment":
        monkeypatch.setenv("http_proxy", address)
    proxies = {"http": address} if by == "connection" else {}
    found = fetch(Endpoint(base_url=f"{api.origin}/v1", proxies=proxies, login="ada", password="s3cr3t"))
    assert only(found).result == "/v1/x"
    assert gateway.seen[0].target == f"{api.origin}/v1/x"
    assert gateway.seen[0].headers["proxy-authorization"] == "Basic " + base64.b64encode(b"eve:p@ss").decode()
    assert api.seen[0].headers["authorization"] == BASIC


@pytest.mark.parametrize("reason", ["no_proxy", "distrust"])
def test_proxy_of_the_environment_is_passed_by(
    api: Server, gateway: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    """A host in `no_proxy`, or a connection that doesn't trust the environment, is asked directly."""
    monkeypatch.setenv("http_proxy", gateway.origin)
    if reason == "no_proxy":
        monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetch(Endpoint(base_url=api.origin, trust_env=reason == "no_proxy"))
    assert (len(api.seen), len(gateway.seen)) == (1, 0)


def test_proxy_of_the_connection_is_not_passed_by(
    api: Server, gateway: Server, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says of its own proxies doesn't hold for the connection's."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetch(Endpoint(base_url=api.origin, proxies={"http": gateway.origin}, trust_env=False))
    assert (len(api.seen), len(gateway.seen)) == (1, 1)


def test_http_2(tmp_path: Path) -> None:
    """Where an https server speaks HTTP/2, libcurl does: the same outcomes, over no more connections."""

    def respond(path: str) -> tuple[int, bytes]:
        return (404, b"") if path == "/7" else (200, json.dumps(path).encode())

    known, context = authority(tmp_path)
    with Http2Server(respond, context) as server:
        endpoint = Endpoint(base_url=server.origin, verify=str(known))
        found = run(job(frozen(tmp_path, range(50)), ASK, endpoint, settings(4, transport="curl")))
    assert sorted(server.paths) == sorted(f"/{number}" for number in range(50))
    assert server.connections <= 4
    outcomes = found.outcomes
    missing = outcomes.pop("7")
    assert (missing.kind, missing.failure) == (Kind.HTTP_ERROR, Failure("HTTPError", "HTTP 404 Not Found"))
    assert {number: outcome.result for number, outcome in outcomes.items()} == {
        str(number): f"/{number}" for number in range(50) if number != 7
    }


def test_tunnel(secure: Server, ca: tuple[Path, ssl.SSLContext], gateway: Server, fetch: Fetch) -> None:
    """A tunnel carries https, whose proxy sees neither credentials nor headers of the connection."""
    endpoint = Endpoint(
        base_url=secure.origin,
        verify=str(ca[0]),
        proxies={"https": gateway.origin},
        headers={"X-Api-Key": "k3y"},
        password="t0k3n",
        auth="bearer",
    )
    assert fetch(endpoint, 1, 2, concurrency=1).progress.kinds == {"ok": 2}
    [seen] = gateway.seen
    assert (seen.method, seen.target) == ("CONNECT", secure.authority)
    assert set(seen.headers) & SECRETS == set()
    assert [seen.headers["x-api-key"] for seen in secure.seen] == ["k3y", "k3y"]


def test_proxy_with_a_certificate_of_the_connections_own_authority(
    api: Server, ca: tuple[Path, ssl.SSLContext], fetch: Fetch
) -> None:
    """A proxy that is reached over TLS is believed by the connection's CA, as the server is."""
    with Server(proxy, tls=ca[1]) as gateway:
        proxies = {"http": gateway.origin}
        believed = fetch(Endpoint(base_url=api.origin, verify=str(ca[0]), proxies=proxies))
        assert only(believed).result == "/x"
        assert len(gateway.seen) == 1


def test_tunnel_that_is_refused(secure: Server, fetch: Fetch) -> None:
    """A proxy that lets nobody through is a `connection_error` that names its status."""
    with Server(paths({})) as gateway:
        outcome = only(fetch(Endpoint(base_url=secure.origin, proxies={"https": gateway.origin})))
    assert outcome.kind is Kind.CONNECTION_ERROR
    assert "404" in str(outcome.failure)


# --- the choice -------------------------------------------------------------------------------------------


def test_without_libcurl(api: Server, tmp_path: Path) -> None:
    """Where pycurl can't be loaded, `auto` sends by requests and says so once; `curl` is an error."""
    from msgspec.structs import replace

    from tests.engine.harness import settings

    (tmp_path / "pycurl.py").write_text("raise ImportError('no libcurl here')\n")
    directory = frozen(tmp_path, range(3))
    todo = job(directory, ASK, api.origin, settings(transport="auto"))
    found = run(replace(todo, path=(str(tmp_path), *todo.path)))
    assert found.progress.kinds == {"ok": 3}
    assert [note.endswith("no libcurl here") for note in found.notes] == [True]
    todo = job(directory, ASK, api.origin, settings(transport="curl"))
    failed = run(replace(todo, path=(str(tmp_path), *todo.path), generation=2))
    assert "no libcurl here" in failed.failure.message
