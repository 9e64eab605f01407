from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.paging import Cursor
from airflow_fanout.api.request import Request
from airflow_fanout.api.signing import NotSigned, Signing, check_sign
from airflow_fanout.errors import BadSetting
from airflow_fanout.launch.shipping import pack
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.sources.http_list import HttpList
from tests.engine.harness import Run, frozen, job, run
from tests.http.servers import Connection, Seen, Server, answer, as_json, redirect

KEY = "a-signing-key"


def sign(method: str, url: str, body: bytes | None, password: str) -> dict[str, str]:
    """Sign as many APIs want it."""
    return {"X-Signature": signature(method, url, body, password)}


def signature(method: str, url: str, body: bytes | None, key: str) -> str:
    """Return the HMAC of a request's method, address and body."""
    text = f"{method}\n{url}\n".encode() + (body or b"")
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest()


def is_signed(seen: Seen, origin: str) -> bool:
    """Return whether a request has its own signature, and no other credentials."""
    right = signature(seen.method, f"{origin}{seen.target}", seen.body or None, KEY)
    return seen.headers.get("x-signature") == right and "authorization" not in seen.headers


def posted(session: Any, number: int) -> Any:
    """Post a number."""
    response = session.post(f"/numbers/{number}", json={"number": number}, params={"day": "a b"})
    response.raise_for_status()
    return response.json()


def fetched(folder: Path, server: Server, request: Any, *, transport: str, function: Any = sign) -> Run:
    """Fetch a few numbers, signed."""
    endpoint = Endpoint(base_url=server.origin, login="me", password=KEY, auth="signed")
    todo = job(frozen(folder, range(5)), request, endpoint, FetchSettings(concurrency=2, transport=transport))
    return run(replace(todo, sign=pack(function)))


REQUESTS = {
    "plain": Request(endpoint="/numbers/{0}", query={"day": "a b"}),
    "body": Request(endpoint="/numbers/{0}", method="POST", json={"number": "{0}"}),
    "pages": Request(endpoint="/numbers/{0}", pages=Cursor(field="next", name="cursor"), result="data"),
    "function": posted,
}


@pytest.mark.parametrize("transport", ["curl", "requests"])
@pytest.mark.parametrize("kind", REQUESTS)
def test_each_request_has_its_own_signature(tmp_path: Path, kind: str, transport: str) -> None:
    """Of its method, its address as it is sent, and its body; the key is the connection's, and isn't sent."""

    def handle(seen: Seen, _connection: Connection) -> bytes:
        if not is_signed(seen, server.origin):
            return answer(b"", "403 Forbidden")
        return as_json({"data": [1], "next": None if "cursor" in seen.target else "c+/="})

    with Server(handle) as server:
        done = fetched(tmp_path, server, REQUESTS[kind], transport=transport)
        assert len(server.seen) == (10 if kind == "pages" else 5)
    assert {record.kind for record in done.records} == {"ok"}


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_another_origin_gets_no_signature(tmp_path: Path, transport: str) -> None:
    """A redirect may lead anywhere."""
    with (
        Server(lambda _seen, _connection: as_json(1)) as other,
        Server(lambda _seen, _connection: redirect(f"{other.origin}/x")) as server,
    ):
        done = fetched(tmp_path, server, REQUESTS["plain"], transport=transport)
        assert len(other.seen) == 5
        assert not any("x-signature" in seen.headers for seen in other.seen)
    assert {record.kind for record in done.records} == {"ok"}


def raising(password: str) -> dict[str, str]:
    """Raise with the key in the message."""
    raise ValueError(f"no good key: {password}")


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_a_function_that_raises_is_the_parameters_error(tmp_path: Path, transport: str) -> None:
    """Nothing is sent without a signature, and the key is in no message."""
    with Server(lambda _seen, _connection: as_json(1)) as server:
        done = fetched(tmp_path, server, REQUESTS["plain"], transport=transport, function=raising)
        assert server.seen == []
    assert {record.kind for record in done.records} == {"error"}
    [message] = {record.failure.message for record in done.records if record.failure}
    assert "raising" in message
    assert "no good key" in message
    assert KEY not in message


def test_a_list_is_signed() -> None:
    """Each page of an `HttpList`."""
    pages = Cursor(field="next", name="cursor")
    source = HttpList(http_conn_id="api", endpoint="/list", items="data", pages=pages, sign=sign)

    def handle(seen: Seen, _connection: Connection) -> bytes:
        if not is_signed(seen, server.origin):
            return answer(b"", "403 Forbidden")
        number = 2 if "cursor" in seen.target else 1
        return as_json({"data": [number], "next": None if number == 2 else "c"})

    with Server(handle) as server:
        endpoint = Endpoint(base_url=server.origin, login="me", password=KEY, auth="signed")
        assert list(source.read(endpoint)) == [1, 2]


async def waited_for(method: str) -> dict[str, str]:
    """Sign in a way that nobody waits for."""
    return {}


@pytest.mark.parametrize(
    "function", ["sign", waited_for, lambda secret: {"X": secret}, hmac.new], ids=["text", "async", "name", "c"]
)
def test_what_can_not_sign_is_an_import_error(function: Any) -> None:
    """With the arguments that there are."""
    with pytest.raises(BadSetting, match=r"sign is .*a function of any of method, url, headers, body, login, password"):
        check_sign(function)


@pytest.mark.parametrize("returned", [None, {"X": 1}, {"X": "a\r\nY: b"}, {"": "x"}, ["X"]])
def test_what_can_not_be_sent_is_no_signature(returned: Any) -> None:
    """A line break would make another header of it."""
    signing = Signing(lambda: returned, Endpoint(base_url="http://api.example"))
    with pytest.raises(NotSigned, match="must return a dict of headers"):
        signing.headers("GET", "http://api.example/", {}, None)


def test_a_function_may_take_all_there_is() -> None:
    """By name, as it likes."""
    got: dict[str, Any] = {}

    def all_of_it(**values: Any) -> dict[str, str]:
        got.update(values)
        return {}

    check_sign(all_of_it)
    Signing(all_of_it, Endpoint(base_url="http://a", login="me", password=KEY)).headers("GET", "u", {"A": "1"}, b"b")
    whole = {"method": "GET", "url": "u", "headers": {"A": "1"}, "body": b"b", "login": "me", "password": KEY}
    assert got == whole
