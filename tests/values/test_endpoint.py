from __future__ import annotations

import pytest

from airflow_fanout import codec
from airflow_fanout.api.endpoint import Endpoint

FULL = Endpoint(
    base_url="https://api.example/v1",
    login="reporter",
    password="pass-phrase",
    auth="digest",
    headers={"X-Api-Key": "key-4711"},
    verify="ca.pem",
    cert=("client.pem", "client.key"),
    proxies={"https": "http://user:proxy-word@proxy.example:3128"},
    trust_env=False,
    allow_redirects=False,
    max_redirects=3,
)


@pytest.mark.parametrize(
    "endpoint", [FULL, Endpoint(base_url="http://127.0.0.1:1"), Endpoint(base_url="http://h", cert="both.pem")]
)
def test_an_endpoint_travels_as_json(endpoint: Endpoint) -> None:
    """What the engine reads from its pipe equals the connection, secrets and types included."""
    assert codec.decoder(Endpoint)(codec.encode(endpoint)) == endpoint


def test_secrets_are_not_printed() -> None:
    """Password, headers and proxies stay out of logs and messages."""
    shown = repr(FULL)
    assert "api.example" in shown
    assert not [secret for secret in ("pass-phrase", "key-4711", "proxy-word") if secret in shown]


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/calls/7", "https://api.example/v1/calls/7"),
        ("calls/7", "https://api.example/v1/calls/7"),
        ("/calls?next=http://other.example", "https://api.example/v1/calls?next=http://other.example"),
        ("?page=2", "https://api.example/v1/?page=2"),
        ("//other.example/calls", "https://api.example/v1//other.example/calls"),
        ("https://other.example/calls", "https://other.example/calls"),
    ],
)
def test_a_path_is_below_the_base_address(target: str, url: str) -> None:
    """A path extends the base address, its own path included; only a whole address leads elsewhere."""
    assert FULL.url(target) == url
