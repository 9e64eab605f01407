"""The session over libcurl in its own right: who sends what, greenlets, limits, and what it leaves behind."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest
import requests
from gevent.threadpool import ThreadPool
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.engine.function_session.preparation import Preparation
from airflow_fanout.engine.function_session.response import CurlResponse
from airflow_fanout.engine.function_session.session import CurlSession
from airflow_fanout.model.settings import FetchSettings, Timeouts
from airflow_fanout.wire.adapter import BodyTooLarge
from tests.engine.harness import frozen, job, run, settings
from tests.http.servers import Server, answer, as_json, authority, drip, proxy, redirect, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.servers import Connection, Routes, Seen


def slow(seen: Seen, connection: Connection) -> bytes:
    """Answer after a moment, or a longer one."""
    connection.pause(0.02 if seen.path == "/slow" else 0.15)
    return as_json("slow")


ROUTES: Routes = {
    "/x": lambda seen, _: as_json(seen.target),
    "/slow": slow,
    "/slower": slow,
    "/hang": lambda _, connection: connection.pause(30),
    "/drip": lambda _, connection: drip(connection, 0.02),
    "/bomb": answer(gzip.compress(b" " * 50_000_000), "200 OK", "Content-Encoding: gzip"),
    "/bomb-redirect": answer(gzip.compress(b" " * 50_000_000), "302 Found", "Content-Encoding: gzip", "Location: /x"),
    "/redirect": redirect("/x"),
    "/cookie": answer(b"", "200 OK", "Set-Cookie: a=1"),
}


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a server with these answers."""
    with serving(ROUTES) as running:
        yield running


def opened(server: Server, concurrency: int = 4, **more: Any) -> CurlSession:
    """Return a session to be used with `with`."""
    endpoint = Endpoint(base_url=server.origin, trust_env=False, **more)
    return CurlSession(endpoint, FetchSettings(concurrency=concurrency, timeouts=Timeouts(read_s=5)))


def descriptors() -> int:
    """Return how many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_by_libcurl(response: requests.Response) -> bool:
    """Return whether an answer came over libcurl."""
    return isinstance(response, CurlResponse)


# --- who sends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unusual", ["hook", "adapter"])
def test_what_requests_sends_is_said_once(server: Server, unusual: str) -> None:
    """Plain calls go without a word; the first that is sent by requests is told of, the others aren't."""
    told: list[str] = []
    endpoint = Endpoint(base_url=server.origin, trust_env=False)
    with CurlSession(endpoint, FetchSettings(), told.append) as session:
        assert is_by_libcurl(session.get("/x"))
        assert told == []
        if unusual == "adapter":
            session.mount(server.origin, HTTPAdapter())
        for _ in range(2):
            hooks = {"response": lambda answer, **_: answer} if unusual == "hook" else None
            assert not is_by_libcurl(session.get("/x", hooks=hooks))
    [text] = told
    assert "The slower `requests` library sends" in text


@pytest.mark.parametrize(
    ("options", "by_libcurl"),
    [
        ({}, True),
        ({"params": {"a": 1}, "headers": {"X-A": "1"}}, True),
        ({"data": {"a": 1}}, True),
        ({"json": [1]}, True),
        ({"auth": ("ada", "s3cr3t"), "cookies": {"a": "1"}}, True),
        ({"files": {"a": b"1"}}, True),
        ({"timeout": 5}, True),
        ({"data": iter([b"1"])}, False),
        ({"stream": True}, False),
        ({"hooks": {"response": lambda *_, **__: None}}, False),
        ({"verify": False}, False),
        ({"headers": {"User-Agent": None}}, False),
        ({"headers": {"Expect": "100-continue"}}, False),
    ],
)
def test_who_sends(server: Server, options: dict[str, Any], by_libcurl: bool) -> None:
    """What is usual goes over libcurl, what is not is sent by requests, and both are answered."""
    with opened(server) as session:
        found = session.request("POST", "/x", **options)
        assert (found.status_code, is_by_libcurl(found)) == (200, by_libcurl)


def test_other_servers_are_left_to_requests(server: Server) -> None:
    """An address at another origin, and a redirect to one, are sent by requests."""
    with serving({"/there": redirect(f"{server.origin}/x")}) as first, opened(first) as session:
        there, redirected = session.get(f"{server.origin}/x"), session.get("/there")
        assert [is_by_libcurl(one) for one in (there, redirected, redirected.history[0])] == [False, False, True]


def test_proxies_are_left_to_requests() -> None:
    """A connection with a proxy is served by requests."""
    with (
        Server(proxy) as between,
        serving(ROUTES) as server,
        opened(server, proxies={"http": between.origin}) as session,
    ):
        assert not is_by_libcurl(session.get("/x"))
    assert [seen.target for seen in between.seen] == [f"{server.origin}/x"]


def test_digest_is_left_to_requests(server: Server) -> None:
    """A connection with digest authentication is served by requests, which knows what to do with a challenge."""
    with opened(server, login="ada", password="s3cr3t", auth="digest") as session:
        assert not is_by_libcurl(session.get("/x"))


def hooked(response: requests.Response, **_: Any) -> None:
    """Leave a sign."""
    response.reason = "hooked"


@pytest.mark.parametrize(
    ("name", "value", "header"),
    [
        ("headers", {"User-Agent": "me", "Accept-Encoding": "gzip", "X-A": "1"}, ("x-a", "1")),
        ("auth", ("ada", "s3cr3t"), ("authorization", "Basic YWRhOnMzY3IzdA==")),
        ("cookies", requests.cookies.cookiejar_from_dict({"a": "1"}), ("cookie", "a=1")),
    ],
)
def test_session_can_be_set_as_any_other(server: Server, name: str, value: Any, header: tuple[str, str]) -> None:
    """What an author sets on the session is sent with the calls after it."""
    with opened(server) as session:
        assert isinstance(session, requests.Session)
        session.get("/x")
        setattr(session, name, value)
        session.get("/x")
    assert [header in seen.headers.items() for seen in server.seen] == [False, True]


def test_sessions_own_params_hooks_and_jar(server: Server) -> None:
    """Parameters and hooks that an author sets on the session count, and so does a jar that keeps cookies."""
    with opened(server) as session:
        session.params = {"p": "1"}
        assert session.get("/x").json() == "/x?p=1"
        session.params = {}
        session.hooks["response"].append(hooked)
        assert session.get("/x").reason == "hooked"
        session.hooks["response"].clear()
        session.cookies = requests.cookies.cookiejar_from_dict({})
        assert is_by_libcurl(session.get("/cookie"))
        session.get("/x")
    assert server.seen[-1].headers["cookie"] == "a=1"


def test_mounted_adapter_sends(server: Server) -> None:
    """An adapter that an author mounts gets the requests to its addresses, and no others."""

    class Counting(HTTPAdapter):
        sent = 0

        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            self.sent += 1
            return super().send(*args, **kwargs)

    with opened(server) as session:
        adapter = Counting()
        session.mount(f"{server.origin}/slow", adapter)
        assert not is_by_libcurl(session.get("/slow"))
        assert is_by_libcurl(session.get("/x"))
        assert adapter.sent == 1


def test_prepared_requests_are_sent(server: Server) -> None:
    """A request that an author has prepared goes over libcurl, too."""
    with opened(server) as session:
        prepared = session.prepare_request(requests.Request("GET", f"{server.origin}/x", params={"a": "1"}))
        found = session.send(prepared)
        assert (found.json(), is_by_libcurl(found)) == ("/x?a=1", True)


def test_another_thread_is_left_to_requests(server: Server) -> None:
    """In a thread of the operating system's, as gevent's thread pool has them, requests sends."""
    with opened(server) as session:
        found = ThreadPool(1).apply(session.get, ("/x",))
        assert (found.json(), is_by_libcurl(found)) == ("/x", False)


def test_https(tmp_path: Path) -> None:
    """The connection's authority and its certificate hold; an unknown authority is refused in requests' words."""
    ca, context = authority(tmp_path)
    with Server(lambda *_: as_json("secure"), tls=context) as server:
        with opened(server, verify=str(ca)) as session:
            assert is_by_libcurl(session.get("/x"))
        with opened(server) as session, pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            session.get("/x")
    assert len(server.seen) == 1


# --- greenlets --------------------------------------------------------------------------------------------


def test_greenlets_share_the_connections(server: Server) -> None:
    """Fifty greenlets get each its own answer, over no more connections than the concurrency."""
    with opened(server) as session:
        greenlets = [gevent.spawn(lambda n: session.get("/x", params={"n": n}).json(), n) for n in range(50)]
        gevent.joinall(greenlets, raise_error=True)
        slow = [gevent.spawn(session.get, "/slow") for _ in range(20)]
        gevent.joinall(slow, raise_error=True)
    assert [greenlet.value for greenlet in greenlets] == [f"/x?n={n}" for n in range(50)]
    assert server.connections <= 4


def test_greenlet_may_be_killed(server: Server) -> None:
    """A greenlet that is killed, or out of time, takes its request with it, and leaves its place to others."""
    with opened(server, 2) as session:
        for _ in range(3):
            waiting = [gevent.spawn(session.get, "/drip") for _ in range(2)]
            gevent.sleep(0.05)
            gevent.killall(waiting)
            with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
                session.get("/drip")
        assert session.get("/x").json() == "/x"
        # The server finds out when it goes on sending.
        assert until(lambda: len(server._open) <= 1, 60)


def test_greenlets_that_wait_for_a_place_may_be_killed(server: Server) -> None:
    """Who waits for others to end and is killed meanwhile has sent nothing."""
    with opened(server, 1) as session:
        first, second = gevent.spawn(session.get, "/hang"), gevent.spawn(session.get, "/x")
        gevent.sleep(0.05)
        gevent.killall([second])
        gevent.killall([first])
        assert session.get("/slow").json() == "slow"
    assert [seen.path for seen in server.seen] == ["/hang", "/slow"]


def test_waiting_for_a_place_is_no_silence(server: Server) -> None:
    """The time limits of a request begin when it has its place, however long it has waited for it."""
    with opened(server, 1) as session:
        greenlets = [gevent.spawn(session.get, "/slower", timeout=0.4) for _ in range(5)]
        gevent.joinall(greenlets, raise_error=True)
    assert server.connections == 1


def test_other_greenlets_have_their_turn(server: Server) -> None:
    """Under full load a greenlet that wants to be woken each hundredth of a second is."""
    late: list[float] = []

    def tick() -> None:
        while True:
            due = time.monotonic() + 0.01
            gevent.sleep(0.01)
            late.append(time.monotonic() - due)

    with opened(server, 20) as session:
        ticker = gevent.spawn(tick)
        greenlets = [gevent.spawn(lambda: [session.get("/x") for _ in range(25)]) for _ in range(20)]
        gevent.joinall(greenlets, raise_error=True)
        ticker.kill()
    # It would be woken once, after the last of them.
    assert len(late) > 2


def test_close_ends_who_waits(server: Server) -> None:
    """A session that is closed leaves nobody waiting, and no descriptor open."""
    with opened(server) as session:
        session.get("/x")
    before = descriptors()
    session = opened(server)
    session.get("/x")
    waiting = gevent.spawn(session.get, "/drip")
    gevent.sleep(0.05)
    session.close()
    with pytest.raises(OSError, match="the session was closed"):
        waiting.get(timeout=60)
    # The server, which is in this process, too, finds out when it goes on sending.
    assert until(lambda: descriptors() <= before, 60)


def test_session_that_is_never_used_nor_closed() -> None:
    """A session that nobody closes does no harm to gevent's loop once it is gone."""
    for _ in range(20):
        CurlSession(Endpoint(base_url="http://127.0.0.1:1", trust_env=False), FetchSettings())
        gevent.sleep(0.001)


@pytest.mark.parametrize("path", ["/bomb", "/bomb-redirect"])
def test_size_is_limited_after_decompression(server: Server, path: str) -> None:
    """A small answer that becomes a large one is refused, also on the way to another."""
    endpoint = Endpoint(base_url=server.origin, trust_env=False)
    with CurlSession(endpoint, FetchSettings(max_body_bytes=1_000_000)) as session:
        with pytest.raises(BodyTooLarge, match="larger than 1,000,000 bytes"):
            session.get(path)
        assert is_by_libcurl(session.get("/x"))


# --- once and no more -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    ("method", "body", "most"),
    [
        ("GET", None, 2),
        ("PUT", b"x", 2),
        ("POST", b"x", 1),
        ("POST", b"x" * 300_000, 1),
        ("PATCH", b"x", 1),
        ("POST", None, 1),
    ],
)
def test_connection_that_dies_with_a_request(method: str, body: bytes | None, most: int, reset: bool) -> None:
    """What isn't to be repeated reaches the server once, even if its kept connection dies before an answer."""
    asked: dict[Connection, int] = {}

    def handle(seen: Seen, connection: Connection) -> bytes:
        asked[connection] = asked.get(connection, 0) + 1
        if asked[connection] == 2:
            connection.hang_up(reset=reset)
        return as_json(seen.path)

    with Server(handle) as server, opened(server, 1) as session:
        for number in range(6):
            try:
                session.request(method, f"/{number}", data=body)
            except requests.ConnectionError:
                assert most == 1
        times = [len(server.asked(f"/{number}")) for number in range(6)]
    assert max(times) == most


def test_connections_are_kept_for_a_post(server: Server) -> None:
    """What isn't to be repeated keeps its connection, when it has a body."""
    with opened(server) as session:
        for _ in range(5):
            session.post("/x", json=[1])
    assert server.connections == 1


# --- the same request -------------------------------------------------------------------------------------

TEXTS = st.text(max_size=8)
TARGETS = st.one_of(
    st.text(st.sampled_from("/.?%=&#aZ09-_~+ :;@!$'()*,[]{}|^\\\"<>`2bBeEfF\tü\x00"), max_size=16).map("/".__add__),
    TEXTS.map("/".__add__),
)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=4), st.lists(TEXTS, max_size=3)
)
NAMES = st.sampled_from(["X-A", "x-a", "Accept", "content-type", "User-Agent", "Content-Length"])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "params": st.dictionaries(TEXTS, VALUES, max_size=3),
        "headers": st.dictionaries(NAMES, st.one_of(st.none(), TEXTS, st.binary(max_size=4)), max_size=3),
        "data": st.one_of(TEXTS, st.binary(max_size=8), st.dictionaries(TEXTS, VALUES, max_size=3)),
        "json": st.recursive(
            VALUES.filter(lambda one: not isinstance(one, bytes)), lambda one: st.lists(one, max_size=3)
        ),
        "auth": st.sampled_from([HTTPBasicAuth("ada", "s3cr3t")]),
    },
)
BASES = st.sampled_from(
    ["http://a.example", "https://A.example:443/v1", "http://[::1]:80/ü", "http://x/a/../b", "http://u:p@x"]
)


@given(base=BASES, target=TARGETS, method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE"]), options=OPTIONS)
def test_preparation(base: str, target: str, method: str, options: dict[str, Any]) -> None:
    """What is prepared without requests is what requests would have prepared, or nothing."""
    with requests.Session() as stock:
        stock.trust_env = False
        try:
            ours = Preparation(base).prepare(method, base + target, options, stock.headers)
        except Exception as error:  # noqa: BLE001 - whatever it is, requests must raise it, too
            with pytest.raises(type(error)):
                stock.prepare_request(requests.Request(method, base + target, **options))
            return
        if ours is not None:
            assert _shown(ours) == _shown(stock.prepare_request(requests.Request(method, base + target, **options)))


def _shown(request: requests.PreparedRequest) -> dict[str, Any]:
    return {**vars(request), "headers": list(request.headers.items()), "_cookies": list(vars(request)["_cookies"])}


@pytest.mark.parametrize(
    "target", ["/calls/+12025550100", "/calls/%2B12025550100?day=2026-11-22", "/a/b;c=d?e=f&g=h", "/~ada/a.b/c..d"]
)
def test_what_is_usual_is_prepared_without_requests(target: str) -> None:
    """The addresses that reports are made of don't take the long way."""
    options = {"params": {"a": "1 2", "b": 3}, "headers": {"X-A": "1"}}
    usual = {"User-Agent": "me"}
    assert Preparation("http://a.example/v1").prepare("GET", f"http://a.example/v1{target}", options, usual) is not None


# --- in the engine ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transport", "kind"), [("auto", "CurlSession"), ("curl", "CurlSession"), ("requests", "FanoutSession")]
)
def test_transport_chooses_the_session(tmp_path: Path, transport: str, kind: str) -> None:
    """The operator's `transport` says which session a function gets; it is one of requests' always."""

    def look(session: object, number: int) -> list[object]:
        return [type(session).__name__, isinstance(session, requests.Session)]

    found = run(job(frozen(tmp_path, [1]), look, how=settings(transport=transport)))
    assert found.outcomes["1"].result == [kind, True]
    assert found.notes == []


def test_without_libcurl(tmp_path: Path, server: Server) -> None:
    """Where pycurl can't be loaded, `auto` gives a function a session that sends by requests, and says so once."""

    def ask(session: Any, number: int) -> object:
        return session.get("/x").json()

    (tmp_path / "pycurl.py").write_text("raise ImportError('no libcurl here')\n")
    directory = frozen(tmp_path, range(3))
    todo = job(directory, ask, server.origin, settings(transport="auto"))
    found = run(replace(todo, path=(str(tmp_path), *todo.path)))
    assert found.progress.kinds == {"ok": 3}
    assert [note.endswith("no libcurl here") for note in found.notes] == [True]
    todo = job(directory, ask, server.origin, settings(transport="curl"))
    failed = run(replace(todo, path=(str(tmp_path), *todo.path), generation=2))
    assert "no libcurl here" in failed.failure.message


def test_functions_may_have_greenlets_of_their_own(tmp_path: Path, server: Server) -> None:
    """A function that asks for several things at once keeps to the connections that there are."""

    def ask(session: Any, number: int) -> list[str]:
        from gevent.pool import Pool

        return list(Pool(5).map(lambda part: session.get("/x", params={"n": number, "p": part}).json(), range(5)))

    found = run(job(frozen(tmp_path, range(20)), ask, server.origin, settings(3)))
    assert found.outcomes["7"].result == [f"/x?n=7&p={part}" for part in range(5)]
    assert server.connections <= 3
