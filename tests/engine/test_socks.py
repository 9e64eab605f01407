"""A SOCKS proxy carries the requests of a declarative fetch, of a function, and of a list."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.sources.http_list import HttpList
from tests.engine.harness import Run, frozen, job, run, settings
from tests.http.servers import Server, as_json, authority
from tests.http.socks import Socks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAYS = [(what, transport) for what in ("declarative", "function") for transport in ("curl", "requests")]


def ask(session: Any, number: int) -> Any:
    """Ask as most functions do."""
    found = session.get(f"/{number}")
    found.raise_for_status()
    return found.json()


@pytest.fixture
def api() -> Iterator[Server]:
    """Give an API that answers with the path."""
    with Server(lambda seen, _: as_json(seen.path)) as server:
        yield server


def fetched(folder: Path, way: tuple[str, str], endpoint: Endpoint) -> Run:
    """Fetch three parameters on one of the four ways."""
    asked = Request(endpoint="/{0}") if way[0] == "declarative" else ask
    return run(job(frozen(folder, range(3)), asked, endpoint, settings(1, transport=way[1])))


def by(proxy: str) -> dict[str, str]:
    """Return the proxies of a connection."""
    return {"http": proxy, "https": proxy}


@pytest.mark.parametrize(
    ("way", "kind", "host"),
    [
        *((way, "socks5h", "api.example") for way in WAYS),
        *((way, "socks5", "127.0.0.1") for way in WAYS[:2]),
        *((way, "socks4", "127.0.0.1") for way in WAYS[:2]),
        *((way, "socks4a", "api.example") for way in WAYS[:2]),
    ],
)
def test_a_socks_proxy_is_used(tmp_path: Path, api: Server, way: tuple[str, str], kind: str, host: str) -> None:
    """The host goes to it by name where the proxy is the one to look it up."""
    with Socks() as gateway:
        found = fetched(
            tmp_path, way, Endpoint(base_url=f"http://{host}:{api.port}", proxies=by(f"{kind}://{gateway.authority}"))
        )
    assert {number: outcome.result for number, outcome in found.outcomes.items()} == {"0": "/0", "1": "/1", "2": "/2"}
    assert set(gateway.hosts) == {host}
    assert {seen.headers["host"] for seen in api.seen} == {f"{host}:{api.port}"}


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_socks_proxy_carries_tls_and_wants_credentials(tmp_path: Path, way: tuple[str, str]) -> None:
    """The server's certificate is checked as ever; the proxy's password is in the address, quoted."""
    known, context = authority(tmp_path)
    with Server(lambda seen, _: as_json(seen.path), tls=context) as api, Socks(("eve", "p@ss")) as gateway:
        proxies = by(f"socks5h://eve:p%40ss@{gateway.authority}")
        found = fetched(tmp_path, way, Endpoint(base_url=api.origin, verify=str(known), proxies=proxies))
    assert found.progress.kinds == {"ok": 3}
    assert set(gateway.hosts) == {"127.0.0.1"}


@pytest.mark.parametrize("way", WAYS[:2], ids="-".join)
def test_a_socks_proxy_makes_no_certificate_good(tmp_path: Path, way: tuple[str, str]) -> None:
    """Who can't be believed gets no request by a proxy either."""
    with Server(lambda *_: as_json(1), tls=authority(tmp_path)[1]) as api, Socks() as gateway:
        endpoint = Endpoint(base_url=api.origin, proxies=by(f"socks5h://{gateway.authority}"))
        found = fetched(tmp_path, way, endpoint)
    assert found.progress.kinds == {"connection_error": 3}
    assert api.seen == []


@pytest.mark.parametrize("way", [WAYS[0], WAYS[3]], ids="-".join)
def test_a_socks_proxy_that_refuses_is_a_connection_error(tmp_path: Path, api: Server, way: tuple[str, str]) -> None:
    """Nothing reaches the API, also not past the proxy, and no message has the password."""
    with Socks(("eve", "other")) as gateway:
        endpoint = Endpoint(base_url=api.origin, proxies=by(f"socks5h://eve:p4ssw0rd@{gateway.authority}"))
        found = fetched(tmp_path, way, endpoint)
    assert found.progress.kinds == {"connection_error": 3}
    assert api.seen == []
    assert "p4ssw0rd" not in repr(found.outcomes)


def test_a_list_is_read_by_a_socks_proxy() -> None:
    """The list's session is that of a fetch."""
    with Server(lambda *_: as_json([1, 2])) as api, Socks() as gateway:
        endpoint = Endpoint(base_url=f"http://api.example:{api.port}", proxies=by(f"socks5h://{gateway.authority}"))
        source = HttpList(endpoint="/numbers", http_conn_id="api")
        with contextlib.closing(source.read(endpoint, names=())) as reading:
            assert list(reading) == [1, 2]
    assert set(gateway.hosts) == {"api.example"}
