from __future__ import annotations

import base64
import gc
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.engine.function_session.session import CurlSession
from airflow_fanout.model.settings import FetchSettings, Timeouts
from airflow_fanout.wire.adapter import BodyTooLarge
from tests.engine.harness import frozen, job, run
from tests.http.servers import Server, answer, as_json, authority, drip, paths, redirect, serving

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from tests.http.servers import Connection, Routes, Seen

SETTINGS = FetchSettings(concurrency=4, timeouts=Timeouts(read_s=5))
BASIC = "Basic " + base64.b64encode(b"ada:s3cr3t").decode()
CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
ENVIRONMENT = ("proxy", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def other() -> Iterator[Server]:
    """Give a server of somebody else's, which challenges everybody to show credentials."""
    with Server(lambda *_: answer(b"", "401 Unauthorized", CHALLENGE)) as server:
        yield server


@pytest.fixture
def api(other: Server) -> Iterator[Server]:
    """Give the connection's server: `/there` leads to somebody else's, `/here` and `/here-too` stay."""
    routes: Routes = {
        "/there": redirect(f"{other.origin}/stolen"),
        "/here": redirect("/v1/end"),
        "/v1/end": as_json("end"),
        "/plain": as_json("plain"),
        "/slow": _slow,
        "/v1/plain": as_json("below the base"),
        "/digest": _digest,
        "/digest-there": lambda seen, _: _digest(seen, _, redirect(f"{other.origin}/stolen")),
    }
    with serving(routes) as server:
        yield server


def _slow(_: Seen, connection: Connection) -> bytes:
    connection.pause(0.02)
    return as_json("slow")


def _digest(seen: Seen, _: Connection, reply: bytes | None = None) -> bytes:
    if "authorization" not in seen.headers:
        return answer(b"", "401 Unauthorized", CHALLENGE)
    return reply or as_json("digested")


Open = Callable[..., FanoutSession]


@pytest.fixture(params=[FanoutSession, CurlSession])
def session(request: pytest.FixtureRequest) -> Open:
    """Give each way to a session in turn, to be used with `with`: what holds for one holds for the other."""

    def opened(endpoint: Endpoint | Server, settings: FetchSettings = SETTINGS) -> FanoutSession:
        where = endpoint if isinstance(endpoint, Endpoint) else Endpoint(base_url=endpoint.origin)
        made: FanoutSession = request.param(where, settings)
        return made

    return opened


# --- addresses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["/plain", "plain", "{origin}/v1/plain"])
def test_addresses(session: Open, api: Server, target: str) -> None:
    """A path is below the base address and its path, with and without a slash; a whole address stays as it is."""
    with session(Endpoint(base_url=f"{api.origin}/v1")) as http:
        assert http.get(target.format(origin=api.origin)).json() == "below the base"


def test_address_that_looks_like_another_origin_is_a_path(session: Open, api: Server, other: Server) -> None:
    """Neither `//host/` nor an address inside the query leads a request away from the connection's server."""
    with session(api) as http:
        http.get(f"//127.0.0.1:{other.port}/x")
        http.get(f"/plain?to={other.origin}")
        http.get(f"@127.0.0.1:{other.port}/")
    assert len(api.seen) == 3
    assert other.seen == []


# --- credentials ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"login": "ada", "password": "s3cr3t"}, BASIC),
        ({"password": "t0k3n", "auth": "bearer"}, "Bearer t0k3n"),
        ({"password": "t0k3n"}, None),
        ({}, None),
    ],
)
def test_credentials_are_sent(session: Open, api: Server, given: dict[str, Any], sent: str | None) -> None:
    """A login makes basic authentication, `bearer` sends the token, and without a login nothing is sent."""
    with session(Endpoint(base_url=api.origin, **given)) as http:
        http.get("/plain")
    assert api.seen[0].headers.get("authorization") == sent


def test_digest(session: Open, api: Server) -> None:
    """Digest authentication answers the challenge, and the password itself isn't sent."""
    with session(Endpoint(base_url=api.origin, login="ada", password="s3cr3t", auth="digest")) as http:
        assert http.get("/digest").json() == "digested"
    sent = api.seen[-1].headers["authorization"]
    assert 'Digest username="ada", realm="r", nonce="n", uri="/digest"' in sent
    assert "s3cr3t" not in sent


def test_own_headers_and_credentials_win(session: Open, api: Server) -> None:
    """What a call gives itself replaces what the connection has."""
    endpoint = Endpoint(base_url=api.origin, login="ada", password="s3cr3t", headers={"X-Key": "conn", "X-More": "1"})
    with session(endpoint) as http:
        http.get("/plain", headers={"X-Key": "own"}, auth=("eve", "e"))
    [seen] = api.seen
    assert (seen.headers["x-key"], seen.headers["x-more"]) == ("own", "1")
    assert seen.headers["authorization"] == "Basic " + base64.b64encode(b"eve:e").decode()


@pytest.mark.parametrize("auth", ["basic", "bearer", "digest"])
@pytest.mark.parametrize("way", ["redirect", "address"])
def test_secrets_stay_with_their_origin(session: Open, api: Server, other: Server, auth: str, way: str) -> None:
    """Neither a redirect nor a whole address takes the connection's credentials or headers to another origin."""
    endpoint = Endpoint(
        base_url=api.origin,
        login="ada",
        password="s3cr3t",
        auth=auth,  # type: ignore[arg-type] # one of the three
        headers={"X-Api-Key": "k3y"},
    )
    start = "/digest-there" if auth == "digest" else "/there"
    with session(endpoint) as http:
        http.get(start if way == "redirect" else f"{other.origin}/stolen")
    assert [seen.path for seen in other.seen] == ["/stolen"]
    assert {"authorization", "x-api-key"} & set(other.seen[0].headers) == set()
    if way == "redirect":
        assert api.seen[-1].headers["x-api-key"] == "k3y"
        assert "authorization" in api.seen[-1].headers


def test_redirect_within_the_origin_keeps_them(session: Open, api: Server) -> None:
    """A redirect on the same server takes credentials and headers along."""
    endpoint = Endpoint(base_url=api.origin, login="ada", password="s3cr3t", headers={"X-Api-Key": "k3y"})
    with session(endpoint) as http:
        assert http.get("/here").json() == "end"
    assert [(seen.headers["authorization"], seen.headers["x-api-key"]) for seen in api.seen] == [(BASIC, "k3y")] * 2


def test_digest_goes_on_after_a_redirect_away(session: Open, api: Server, other: Server) -> None:
    """A redirect to another origin doesn't spoil the connection's authentication for the requests after it."""
    with session(Endpoint(base_url=api.origin, login="ada", password="s3cr3t", auth="digest")) as http:
        assert http.get("/digest-there").status_code == 401
        assert http.get("/digest").json() == "digested"


def test_redirects_can_be_switched_off(session: Open, api: Server) -> None:
    """A connection without redirects gets the redirect itself, for every method; so does a call that wants none."""
    with session(Endpoint(base_url=api.origin, allow_redirects=False)) as http:
        assert [http.get("/here").status_code, http.post("/here").status_code] == [302, 302]
    with session(api) as http:
        assert http.get("/here", allow_redirects=False).status_code == 302
        assert http.head("/here").status_code == 302


# --- cookies ----------------------------------------------------------------------------------------------


def test_cookies_are_not_kept(session: Open) -> None:
    """A cookie that was set for one parameter isn't sent with the next, but counts within a chain of redirects."""
    routes: Routes = {
        "/login": answer(b"", "302 Found", "Location: /inside", "Set-Cookie: who=ada"),
        "/inside": as_json(1),
        "/next": as_json(1),
    }
    with serving(routes) as server, session(server) as http:
        assert http.get("/login").history[0].cookies["who"] == "ada"
        http.get("/next")
        http.get("/next", cookies={"mine": "1"})
    sent = [seen.headers.get("cookie") for seen in server.seen]
    assert sent == [None, "who=ada", None, "mine=1"]


# --- limits -----------------------------------------------------------------------------------------------


def test_timeouts_are_set_without_asking(session: Open) -> None:
    """A server that never answers runs into the read timeout, unless the call gives its own."""
    quick = FetchSettings(timeouts=Timeouts(read_s=0.2))
    with Server(lambda _, connection: connection.pause(30)) as server, session(server, quick) as http:
        with pytest.raises(requests.ReadTimeout, match=r"read timeout=0\.2"):
            http.get("/")
        with pytest.raises(requests.ReadTimeout, match=r"read timeout=0\.1"):
            http.get("/", timeout=0.1)


def test_connections_are_no_more_than_the_concurrency(session: Open, api: Server) -> None:
    """Forty threads on a session for four share four connections, and wait for each other."""
    with session(api) as http:
        threads = [threading.Thread(target=http.get, args=("/slow",)) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(api.seen) == 40
    assert api.connections <= 4


@pytest.mark.parametrize("read", ["content", "text", "json", "iter_content", "iter_lines"])
def test_size_is_limited_on_every_way_to_the_body(session: Open, read: str) -> None:
    """However the body is read, it ends at the limit; at the limit exactly it is whole."""
    limited = FetchSettings(concurrency=1, max_body_bytes=100)
    routes: Routes = {"/fits": answer(b"1" * 100), "/large": answer(b"1" * 101)}
    with serving(routes) as server, session(server, limited) as http:
        assert _length(http.get("/fits", stream=True), read) == 100
        with pytest.raises(BodyTooLarge, match=r"larger than 100 bytes \(max_body_bytes\)"):
            _length(http.get("/large", stream=True), read)
        # The connection of the one that was too large is no loss to the pool.
        assert http.get("/fits").text == "1" * 100


def _length(response: requests.Response, read: str) -> int:
    got = getattr(response, read)
    if read == "json":
        return len(str(got()))
    return len(got if read in ("content", "text") else b"".join(got()))


def test_responses_go_when_nobody_needs_them(session: Open, api: Server) -> None:
    """A response is freed with its last reference: answers of megabytes don't wait for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        with session(api) as http:
            response = http.get("/plain")
            watched = weakref.ref(response)
            del response
            assert watched() is None
    finally:
        gc.enable()


def test_streams_are_closed_by_their_own_thread(session: Open, api: Server) -> None:
    """Closing streams gives back what this thread has left open, and leaves other threads' streams alone."""
    with session(api) as http:
        theirs: list[requests.Response] = []
        thread = threading.Thread(target=lambda: theirs.append(http.get("/plain", stream=True)))
        thread.start()
        thread.join()
        for _ in range(9):
            http.get("/plain", stream=True)
            http.close_streams()
        assert theirs[0].json() == "plain"


def test_drip_is_no_hang_for_the_session(session: Open) -> None:
    """The read timeout is between two pieces: a drip passes it, and ends here only by its size."""
    quick = FetchSettings(timeouts=Timeouts(read_s=0.3), max_body_bytes=5)
    with (
        Server(lambda _, connection: drip(connection, 0.05)) as server,
        session(server, quick) as http,
        pytest.raises(BodyTooLarge),
    ):
        next(iter(http.get("/", stream=True).iter_content(10)))


# --- the environment --------------------------------------------------------------------------------------


def test_netrc_is_read_once(session: Open, api: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a login of the connection's own, netrc has one; it is read when the session is made."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password s3cr3t\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with session(api) as trusting, session(Endpoint(base_url=api.origin, trust_env=False)) as distrustful:
        netrc.unlink()
        trusting.get("/plain")
        distrustful.get("/plain")
    assert [seen.headers.get("authorization") for seen in api.seen] == [BASIC, None]


@pytest.mark.parametrize("by", ["call", "connection"])
def test_an_explicit_authorization_wins_over_netrc(
    session: Open, api: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """A header `Authorization` that a call or the connection sets is what is sent, whatever netrc has for the host."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password s3cr3t\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    own = {"Authorization": "Bearer mine"}
    with session(Endpoint(base_url=api.origin, headers=own if by == "connection" else {})) as http:
        http.get("/x", headers=own if by == "call" else None)
    assert api.seen[-1].headers["authorization"] == "Bearer mine"


@pytest.mark.parametrize("address", ["http://evil\\@{0}/", "http://{0}\\@evil/", "http://ada:pw@{0}/", "http://{0}\t/"])
def test_an_address_that_can_be_read_in_two_ways_is_not_asked(session: Open, api: Server, address: str) -> None:
    """The origin that credentials are for, and the server that is connected to, are read from the same text, or not."""
    bearer = Endpoint(base_url=api.origin, password="t0k3n", auth="bearer")
    with session(bearer) as http, pytest.raises(requests.exceptions.InvalidURL):
        http.get(address.format(api.authority))
    assert api.seen == []


def test_netrc_yields_to_the_connection(
    session: Open, api: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection with a login of its own doesn't look into netrc, and another origin gets nothing of it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password e\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with session(Endpoint(base_url=api.origin, login="ada", password="s3cr3t")) as http:
        http.get("/there")
    assert api.seen[0].headers["authorization"] == BASIC


@pytest.mark.parametrize("by", ["environment", "connection"])
def test_proxy(session: Open, other: Server, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """A proxy of the environment, settled when the session is made, or of the connection, gets the requests."""
    with Server(lambda *_: as_json("by proxy")) as proxy:
        proxies = {"http": proxy.origin} if by == "connection" else {}
        if by == "environment":
            monkeypatch.setenv("HTTP_PROXY", proxy.origin)
            monkeypatch.setenv("http_proxy", proxy.origin)
        with session(Endpoint(base_url="http://api.example.com/v1", proxies=proxies)) as http:
            monkeypatch.setenv("HTTP_PROXY", other.origin)
            monkeypatch.setenv("http_proxy", other.origin)
            assert http.get("/x").json() == "by proxy"
    assert proxy.seen[0].target == "http://api.example.com/v1/x"


def test_proxy_of_the_environment_can_be_ignored(
    session: Open, api: Server, other: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that doesn't trust the environment goes straight to its server; so does one in `no_proxy`."""
    monkeypatch.setenv("http_proxy", other.origin)
    with session(Endpoint(base_url=api.origin, trust_env=False)) as http:
        http.get("/plain")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with session(api) as http:
        http.get("/plain")
    assert (len(api.seen), len(other.seen)) == (2, 0)


# --- https ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Give an authority's file and a server's context."""
    return authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secure(ca: tuple[Path, ssl.SSLContext]) -> Iterator[Server]:
    """Give a server with a certificate of that authority."""
    with Server(paths({"/x": as_json("secure"), "/0": as_json(0), "/1": as_json(1)}), tls=ca[1]) as server:
        yield server


def test_certificates_are_checked(session: Open, secure: Server) -> None:
    """A server whose authority nobody knows isn't talked to."""
    with session(secure) as http, pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        http.get("/x")
    assert secure.seen == []


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_authority_of_the_environment(
    session: Open, secure: Server, ca: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The environment's CA bundle counts, unless the connection doesn't trust the environment."""
    monkeypatch.setenv(variable, str(ca[0]))
    with session(secure) as http:
        assert http.get("/x").json() == "secure"
    with (
        session(Endpoint(base_url=secure.origin, trust_env=False)) as http,
        pytest.raises(requests.exceptions.SSLError),
    ):
        http.get("/x")


def test_authority_of_the_connection_wins(
    session: Open, secure: Server, ca: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The connection's own CA file isn't overruled by the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nothing.pem"))
    with session(Endpoint(base_url=secure.origin, verify=str(ca[0]))) as http:
        assert http.get("/x").json() == "secure"


def test_https_in_the_engine(tmp_path: Path, secure: Server, ca: tuple[Path, ssl.SSLContext]) -> None:
    """The patched engine speaks https, with the connection's own authority."""
    endpoint = Endpoint(base_url=secure.origin, verify=str(ca[0]))
    found = run(job(frozen(tmp_path, [0, 1]), Request(endpoint="/{0}"), endpoint))
    assert {name: outcome.result for name, outcome in found.outcomes.items()} == {"0": 0, "1": 1}


def test_unknown_authority_in_the_engine(tmp_path: Path, secure: Server) -> None:
    """A certificate that can't be trusted is a `connection_error` that says so."""
    found = run(job(frozen(tmp_path, [0]), Request(endpoint="/{0}"), secure.origin))
    assert found.progress.kinds == {"connection_error": 1}
    assert "unable to get local issuer certificate" in str(found.outcomes["0"].failure)
