from __future__ import annotations

import pytest

from airflow_fanout.api.errors import BadProxy
from airflow_fanout.api.proxies import check_proxies


@pytest.mark.parametrize(
    "proxies",
    [
        {},
        {"http": "http://p:1"},
        {"https": "https://a:b@p"},
        {"http": "p:3128"},
        {"http": ""},
        {"all": "SOCKS5h://p"},
        {"ftp": "ftp://p", "no": "x"},
    ],
)
def test_proxies_that_can_be_used(proxies: dict[str, str]) -> None:
    """HTTP and SOCKS, in any letters; the environment may have a proxy for what isn't HTTP."""
    check_proxies(proxies)


def test_a_proxy_of_an_unknown_kind_is_refused() -> None:
    """An address that begins otherwise is named by its beginning."""
    with pytest.raises(BadProxy, match="quic://"):
        check_proxies({"http": "quic://p"})
