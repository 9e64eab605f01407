from __future__ import annotations

import importlib.util

import pytest

from airflow_fanout.proxies import BadProxy, check_proxies


@pytest.mark.parametrize(
    "proxies",
    [
        {},
        {"http": "http://p:1"},
        {"https": "https://a:b@p"},
        {"http": "p:3128"},
        {"http": ""},
        {"ftp": "ftp://p", "no": "x"},
    ],
)
def test_proxies_that_can_be_used(proxies: dict[str, str]) -> None:
    """A proxy of HTTP needs nothing else, and the environment may have one for what isn't HTTP."""
    check_proxies(proxies)


@pytest.mark.skipif(importlib.util.find_spec("socks") is not None, reason="PySocks is installed")
@pytest.mark.parametrize("scheme", ["socks5h", "socks5", "socks4", "SOCKS4A"])
def test_a_package_that_a_proxy_needs_is_asked_for_before_the_first_request(scheme: str) -> None:
    """Without PySocks every request by requests would fail: one message says so, and shows no credentials."""
    with pytest.raises(BadProxy, match="Install PySocks") as caught:
        check_proxies({"https": f"{scheme}://ada:s3cr3t@p:1080"})
    assert "s3cr3t" not in str(caught.value)


def test_a_proxy_of_an_unknown_kind_is_refused() -> None:
    """An address that begins otherwise is named by its beginning."""
    with pytest.raises(BadProxy, match="quic://"):
        check_proxies({"http": "quic://p"})
