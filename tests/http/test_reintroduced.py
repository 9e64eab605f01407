from __future__ import annotations

import base64

import requests

from airflow_fanout.api.auth import Introduced, introduction_of, is_own_hook, reintroduce
from airflow_fanout.api.endpoint import Endpoint

BASE = "http://api.example"


def prepared(endpoint: Endpoint, address: str = f"{BASE}/x?a=1", **headers: str) -> requests.PreparedRequest:
    """Return a request as a session prepares it."""
    whole = endpoint.with_query(address)
    request = requests.Request("GET", whole, headers={**endpoint.headers, **headers}, auth=introduction_of(endpoint))
    return request.prepare()


def test_a_token_and_a_password_are_replaced() -> None:
    """In the header that they are in."""
    request = prepared(Endpoint(base_url=BASE, auth="bearer", password="old"))
    reintroduce(request, Endpoint(base_url=BASE, auth="bearer", password="new"))
    assert request.headers["Authorization"] == "Bearer new"
    request = prepared(Endpoint(base_url=BASE, login="me", password="old"))
    reintroduce(request, Endpoint(base_url=BASE, login="me", password="new"))
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"me:new"


def test_keys_are_replaced_and_what_a_call_said_itself_stays() -> None:
    """In a header and in the query."""
    old, new = (Endpoint(base_url=BASE, auth="api_key", headers={"X-Key": key, "X-A": "1"}) for key in ("old", "new"))
    request = prepared(old)
    reintroduce(request, new)
    assert request.headers["X-Key"] == "new"
    request = prepared(old, **{"X-Key": "mine"})
    reintroduce(request, new)
    assert request.headers["X-Key"] == "mine"
    old, new = (Endpoint(base_url=BASE, auth="api_key", query={"a key": key}) for key in ("o&d", "n w"))
    request = prepared(old)
    reintroduce(request, new)
    assert request.url == f"{BASE}/x?a=1&a+key=n+w"


def test_digest_answers_a_challenge_with_the_newest_password_only() -> None:
    """By one hook, not by one for each password that there was."""
    old, new = (Endpoint(base_url=BASE, auth="digest", login="me", password=word) for word in ("old", "new"))
    request = prepared(old)
    reintroduce(request, new)
    hooks = [hook for hook in request.hooks["response"] if is_own_hook(hook)]
    assert {hook.__self__.password for hook in hooks} == {"new"}


def test_a_request_of_nobody_stays_as_it_is() -> None:
    """One with credentials of its own, or to another address."""
    request = requests.Request("GET", f"{BASE}/x", headers={"Authorization": "Bearer mine"}).prepare()
    reintroduce(request, Endpoint(base_url=BASE, auth="bearer", password="new"))
    assert request.headers["Authorization"] == "Bearer mine"
    assert introduction_of(Endpoint(base_url=BASE)) is None
    assert isinstance(introduction_of(Endpoint(base_url=BASE, auth="signed", password="k")), Introduced)
