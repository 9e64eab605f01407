from __future__ import annotations

import pytest

from airflow_fanout.api.address import BadAddress, Origin, check_text, origin_of


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("http://api", Origin("http", "api", 80)),
        ("HTTPS://API.example.com:8443/a?b#c", Origin("https", "api.example.com", 8443)),
        ("http://[::1]:80/", Origin("http", "[::1]", 80)),
        ("http://127.0.0.1/@x", Origin("http", "127.0.0.1", 80)),
        ("http://xn--bcher-kva.example?q=\\", Origin("http", "xn--bcher-kva.example", 80)),
    ],
)
def test_an_address_has_one_origin(address: str, origin: Origin) -> None:
    """An address that all readers read alike leads to its scheme, host and port."""
    assert origin_of(address) == origin


@pytest.mark.parametrize(
    "address",
    [
        "http://evil\\@api/", "http://api\\.evil/", "http://api/\\evil", "http://ada:pw@api/", "http://@api/", "http://api@evil/",
        "http://ap\ti/", "http://api\n/", "http://api/a\r\nb", "http://api\x00/", "http:///path", "http://", "http:api", "ftp://api/",
        "http://api:/", "http://api:0/", "http://api:65536/", "http://api:8o/", "http://api:080/", "http://api: 80/", "http://a b/",
        "http://a%70i/", "http://[fe80::1%25eth0]/", "http://[::1/", "http://::1/", "http://bücher.example/", "http://api。evil/", "//api/", "/path",
    ],
)  # fmt: skip
def test_an_address_that_two_readers_read_differently_is_refused(address: str) -> None:
    """Backslashes, credentials, control characters, odd hosts and ports: nobody guesses where that leads."""
    with pytest.raises(BadAddress) as caught:
        origin_of(address)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("reference", ["/a\\b", "\\\\evil", "/a\tb", "ht\ntp://evil"])
def test_a_link_with_what_readers_treat_differently_is_refused(reference: str) -> None:
    """A relative address is looked at before it is joined to another, which would take such characters away."""
    with pytest.raises(BadAddress):
        check_text(reference)
