"""Fetches without an answer, on all ways: what no waiting cures ends them at once, everything else is waited for."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import requests
import urllib3.exceptions
from msgspec.structs import replace
from urllib3.connection import HTTPConnection

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.failures import outcome_of
from airflow_fanout.api.request import Request
from airflow_fanout.engine.transport.by_curl import CurlTransport
from airflow_fanout.launch.ending import progress_at_end
from airflow_fanout.launch.errors import NotStarted
from airflow_fanout.launch.messages import ProgressReport
from airflow_fanout.launch.process import EngineProcess
from airflow_fanout.model.outcome import Cause, Failure, Kind, Outcome
from airflow_fanout.model.settings import Breaker, FetchSettings, Retry, Timeouts
from airflow_fanout.privacy.redaction import HIDDEN
from tests.engine.harness import Run, frozen, job, listened, run, settings
from tests.http.servers import Crowded, Server, answer, as_json, authority, proxy
from tests.http.socks import Socks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.http.servers import Connection, Seen

WAYS = ["curl", "requests", "function by curl", "function by requests"]
ASK = Request(endpoint="/{0}")
POST = Request(endpoint="/{0}", method="POST", json={"number": "{0}"})


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def call(session: requests.Session, number: object) -> Any:
    """Ask as an author's function does."""
    answered = session.get(f"/{number}")
    answered.raise_for_status()
    return answered.json()


def fetched(folder: Path, way: str, endpoint: Endpoint, count: int = 200, **more: Any) -> tuple[Run, Exception | None]:
    """Fetch by one of the ways; return what came of it, and the error that the task would have ended with."""
    transport = way.rpartition(" ")[2]
    todo = job(
        frozen(folder, range(count)),
        call if way.startswith("function") else ASK,
        endpoint,
        FetchSettings(transport=transport, **more),  # type: ignore[arg-type] # one of two
    )
    with EngineProcess(todo) as engine:
        found = listened(engine, todo)
        try:
            progress_at_end(found.last, engine, "the connection 'call_api'")
        except NotStarted as error:
            return found, error
    return found, None


def not_started(folder: Path, way: str, endpoint: Endpoint) -> str:
    """Fetch in vain: three requests, no record, no retry by Airflow; return what the task says."""
    found, error = fetched(folder, way, endpoint)
    assert isinstance(error, NotStarted), found.last
    assert (error.requests, error.retry, found.records, found.progress.requests) == (3, False, [], 3)
    assert found.progress.seconds < 10
    assert "'call_api'" in str(error)
    return str(error)


@pytest.mark.parametrize("way", WAYS)
def test_an_unknown_host_ends_the_fetch_at_once(tmp_path: Path, way: str) -> None:
    """The cause is named; nobody waits for a name that isn't there."""
    message = not_started(tmp_path, way, Endpoint(base_url="http://nowhere.invalid"))
    assert "the host of the connection 'call_api' is unknown" in message
    assert "nowhere.invalid" in message


@pytest.mark.parametrize("way", WAYS)
def test_an_unknown_proxy_ends_the_fetch_at_once(tmp_path: Path, way: str) -> None:
    """The proxy is named, without its credentials."""
    proxies = {"http": "http://eve:p4ssw0rd@nowhere.invalid:3128"}
    message = not_started(tmp_path, way, Endpoint(base_url="http://api.example", proxies=proxies))
    assert "the host of the proxy of the connection 'call_api' is unknown" in message
    assert "nowhere.invalid" in message
    assert "p4ssw0rd" not in message


@pytest.mark.parametrize("way", WAYS)
def test_an_untrusted_certificate_ends_the_fetch_at_once(tmp_path: Path, way: str) -> None:
    """It isn't trusted the next time either."""
    _, context = authority(tmp_path)
    with Server(lambda *_: as_json(1), tls=context) as server:
        message = not_started(tmp_path, way, Endpoint(base_url=server.origin))
    assert "the server's certificate of the connection 'call_api' isn't trusted" in message
    assert server.seen == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("status", "words"), [("401 Unauthorized", "credentials"), ("403 Forbidden", "first requests")]
)
def test_refused_credentials_end_the_fetch_at_once(tmp_path: Path, way: str, status: str, words: str) -> None:
    """Three parameters are asked for, one after the other."""
    with Server(lambda *_: answer(b"", status)) as server:
        message = not_started(tmp_path, way, Endpoint(base_url=server.origin, login="ada", password="wr0ng"))
    assert f"the API refused the {words}" in message
    assert f"(HTTP {status})" in message
    assert [seen.path for seen in server.seen] == ["/0", "/1", "/2"]


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_repeats_the_credentials_does_not_put_them_into_the_journal(tmp_path: Path, way: str) -> None:
    """What it says in its status line is kept without them: before the first answer, and of a single parameter."""
    words = "credentials of ada:s3cr3t-w0rd are wrong"
    endpoint = Endpoint(base_url="", login="ada", password="s3cr3t-w0rd")
    with Server(lambda *_: answer(b"", f"401 {words}")) as server:
        message = not_started(tmp_path / "all", way, replace(endpoint, base_url=server.origin))
    with Server(lambda seen, _: answer(b"", f"404 {words}") if seen.path == "/1" else as_json(1)) as server:
        found, error = fetched(tmp_path / "single", way, replace(endpoint, base_url=server.origin), count=3)
    assert error is None
    failures = [outcome.failure.message for outcome in found.outcomes.values() if outcome.failure]
    assert failures == [f"HTTP 404 {words.replace('s3cr3t-w0rd', HIDDEN)}"]
    assert "s3cr3t-w0rd" not in message


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_ends_the_fetch_at_once(tmp_path: Path, way: str, scheme: str) -> None:
    """A 407 is the proxy's, whatever the target, and names it without its credentials."""
    with Server(lambda *_: answer(b"", "407 Proxy Authentication Required")) as gateway:
        address = f"http://eve:p4ssw0rd@{gateway.authority}"
        endpoint = Endpoint(base_url=f"{scheme}://api.example", proxies={"http": address, "https": address})
        message = not_started(tmp_path, way, endpoint)
    assert "the proxy of the connection 'call_api' refused its credentials" in message
    assert f"the proxy http://{gateway.authority}" in message
    assert "407" in message
    assert "p4ssw0rd" not in message


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("credentials", ["", "eve:p4ssw0rd@"], ids=["none", "wrong"])
def test_a_socks_proxy_that_refuses_ends_the_fetch_at_once(tmp_path: Path, way: str, credentials: str) -> None:
    """A wrong password, or none, is refused the next time, too; nothing reaches the API."""
    with Socks(("eve", "other")) as gateway:
        address = f"socks5h://{credentials}{gateway.authority}"
        endpoint = Endpoint(base_url="http://api.example", proxies={"http": address, "https": address})
        message = not_started(tmp_path, way, endpoint)
    assert "the proxy of the connection 'call_api' refused its credentials" in message
    assert "p4ssw0rd" not in message
    assert gateway.hosts == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_for_a_while_is_waited_for(tmp_path: Path, way: str, scheme: str) -> None:
    """In mid-run it costs attempts, and no parameter is lost: nothing of what it refused has reached the API."""
    known, context = authority(tmp_path)
    asked = 0

    def gate(seen: Seen, connection: Connection) -> bytes | None:
        nonlocal asked
        asked += 1
        if 10 < asked <= 40:
            connection.send(answer(b"", "407 Proxy Authentication Required", "Connection: close"))
            connection.hang_up()
        return proxy(seen, connection)

    tls = context if scheme == "https" else None
    # One request on each connection, so that the proxy is asked for a tunnel each time.
    with Server(lambda *_: as_json(1, "200 OK", "Connection: close"), tls=tls) as api, Server(gate) as gateway:
        endpoint = Endpoint(base_url=api.origin, verify=str(known), proxies={scheme: gateway.origin})
        found, error = fetched(tmp_path, way, endpoint, count=60, breaker=Breaker(canary=0))
    assert (error, found.progress.kinds) == (None, {"ok": 60})


@pytest.mark.parametrize("way", WAYS)
def test_connections_that_are_reset_slow_the_fetch_down(tmp_path: Path, way: str) -> None:
    """An API that takes eight connections of a client, and resets all others, gives all 1,500 answers."""

    def handle(seen: Seen, connection: Connection) -> bytes:
        connection.pause(0.01)
        return as_json(seen.path)

    with Crowded(handle, most=8) as server:
        found, error = fetched(tmp_path, way, Endpoint(base_url=server.origin), count=1_500)
    print(f"\n{way}: {found.progress.requests} requests, {server.resets} resets, {found.progress.seconds:.1f} s")
    assert (error, found.progress.kinds) == (None, {"ok": 1_500})
    # Each is asked for once; a fifth and the first hundred may be asked for again.
    assert found.progress.requests <= 1_500 + 100 + 1_500 // 5 + 200


def again(*_: object) -> None:
    """Be a name service that is too busy."""
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def gone(*_: object) -> None:
    """Be a name service that knows of no such name."""
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(("resolve", "cause"), [(again, None), (gone, Cause.UNKNOWN_HOST), (lambda *_: [], None)])
def test_a_name_service_that_says_try_again_is_waited_for(resolve: Callable[..., Any], cause: Cause | None) -> None:
    """By libcurl they are the same, so the name service is asked once more, by Python; a function's error knows."""
    transport = CurlTransport(Endpoint(base_url="http://api.example"), ASK, ("0",), settings())
    failed = Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", "…"), cause=Cause.UNKNOWN_HOST)
    assert transport.checked(failed, resolve).cause is cause
    refused = Outcome(Kind.CONNECTION_ERROR, failure=Failure("ConnectionError", "…"))
    assert transport.checked(refused, gone) is refused


@pytest.mark.parametrize(("code", "cause"), [(socket.EAI_AGAIN, None), (socket.EAI_NONAME, Cause.UNKNOWN_HOST)])
def test_requests_knows_what_the_name_service_said(code: int, cause: Cause | None) -> None:
    """It stands behind urllib3's exception."""
    said = urllib3.exceptions.NameResolutionError("x", HTTPConnection("x"), socket.gaierror(code, "…"))
    said.__cause__ = socket.gaierror(code, "…")
    pool = urllib3.HTTPConnectionPool("x")
    outcome = outcome_of(requests.ConnectionError(urllib3.exceptions.MaxRetryError(pool, "/", said)))
    assert (outcome.cause, outcome.unsent) == (cause, True)


@pytest.mark.parametrize("way", ["curl", "requests"])
def test_what_was_never_sent_is_sent_again_whatever_the_method(tmp_path: Path, way: str) -> None:
    """A POST whose connection was refused has done nothing: it is sent when somebody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        address = found.getsockname()
    seen = []

    def handle(request: Seen, _: Connection) -> bytes:
        seen.append(request.body)
        return as_json(1)

    retry = Retry(max_attempts=12, initial_delay_s=0.3, max_delay_s=0.3, last_pass=False)
    todo = job(
        frozen(tmp_path, range(3)), POST, f"http://127.0.0.1:{address[1]}", settings(3, transport=way, retry=retry)
    )
    with EngineProcess(todo) as engine:
        next(said for said in engine.listen() if isinstance(said, ProgressReport))
        with Server(handle, port=address[1]):
            result = listened(engine, todo)
    assert result.progress.kinds == {"ok": 3}
    assert sorted(seen) == [b'{"number":0}', b'{"number":1}', b'{"number":2}']
    assert min(record.attempts for record in result.records) > 1


def test_posts_share_connections(tmp_path: Path) -> None:
    """Eight hundred of them need no more connections than are under way at once."""
    with Server(lambda seen, _: as_json(len(seen.body))) as server:
        found = run(job(frozen(tmp_path, range(800)), POST, server.origin, settings(8, transport="curl")))
    assert found.progress.kinds == {"ok": 800}
    assert (len(server.seen), len({seen.body for seen in server.seen})) == (800, 800)
    assert server.connections <= 8


@pytest.mark.parametrize("dies", [1, 2, 5])
@pytest.mark.parametrize("reset", [False, True])
def test_a_post_on_a_connection_that_dies_is_sent_once(tmp_path: Path, dies: int, reset: bool) -> None:
    """Nobody knows whether it was carried out, so it isn't repeated; from then on each has a connection of its own."""
    asked: dict[Connection, int] = {}

    def handle(seen: Seen, connection: Connection) -> bytes:
        asked[connection] = asked.get(connection, 0) + 1
        if asked[connection] > dies:
            connection.hang_up(reset=reset)
        return as_json(seen.path)

    with Server(handle) as server:
        retry = Retry(max_attempts=9, initial_delay_s=0.01, last_pass=False)
        how = settings(1, transport="curl", retry=retry)
        found = run(job(frozen(tmp_path, range(30)), POST, server.origin, how))
    assert [len(server.asked(f"/{number}")) for number in range(30)] == [1] * 30
    # Where the client is held up for seconds, it doesn't use the connection again that would die.
    assert found.progress.kinds["ok"] >= 29


@pytest.mark.parametrize("way", ["curl", "requests"])
def test_a_post_that_was_sent_is_not_sent_again(tmp_path: Path, way: str) -> None:
    """What may have been carried out keeps its outcome: a reset after the request, and silence."""

    def handle(seen: Seen, connection: Connection) -> bytes:
        if seen.path == "/0":
            connection.hang_up(reset=True)
        connection.pause(5)
        return as_json(1)

    retry = Retry(max_attempts=5, initial_delay_s=0.01)
    how = settings(2, transport=way, retry=retry, timeouts=Timeouts(read_s=0.3, total_s=1.0))
    with Server(handle) as server:
        found = run(job(frozen(tmp_path, range(2)), POST, server.origin, how))
    assert found.progress.kinds == {"connection_error": 1, "timeout": 1}
    assert sorted(seen.path for seen in server.seen) == ["/0", "/1"]
