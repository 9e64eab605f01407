from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_fanout.errors import BadConnection
from airflow_fanout.operators.connection import to_endpoint


def connection(host: str | None, **fields: Any) -> Connection:
    """Return a connection as Airflow gives it."""
    return Connection(conn_id="api", conn_type="http", host=host, **fields)


@pytest.mark.parametrize(
    ("host", "fields", "address"),
    [
        ("api.example", {}, "http://api.example"),
        ("api.example", {"schema": "https", "port": 8443}, "https://api.example:8443"),
        ("https://api.example/v1/", {}, "https://api.example/v1"),
        ("https://api.example:8443/v1", {"port": 9}, "https://api.example:8443/v1"),
        ("[::1]", {"port": 80}, "http://[::1]:80"),
        (" api.example ", {}, "http://api.example"),
        ("https://api.example/users/@me", {}, "https://api.example/users/@me"),
    ],
)
def test_the_address_is_read_as_http_hook_reads_it(host: str, fields: dict[str, Any], address: str) -> None:
    """A host, or a whole address in its place; what the address says goes before the connection's own fields."""
    assert to_endpoint("api", connection(host, **fields)).base_url == address


@pytest.mark.parametrize(
    ("host", "login", "password"),
    [
        ("https://user:secret@api.example:8443/v1", "user", "secret"),
        ("https://us%40er:s%2Fcret%3A@api.example:8443/v1", "us@er", "s/cret:"),
        ("https://user@api.example:8443/v1", "user", None),
        ("https://:secret@api.example:8443/v1", "", "secret"),
        ("https://@api.example:8443/v1", None, None),
    ],
)
def test_credentials_in_the_host_are_credentials(host: str, login: str | None, password: str | None) -> None:
    """What stands before an @ makes authentication, and is no part of the address, which logs show."""
    endpoint = to_endpoint("api", connection(host))
    assert endpoint.base_url == "https://api.example:8443/v1"
    assert (endpoint.login, endpoint.password) == (login, password)


def test_credentials_in_a_host_without_a_scheme_are_credentials() -> None:
    """The same holds for a bare host; the connection's port and schema are added to it."""
    endpoint = to_endpoint("api", connection("user:secret@api.example", schema="https", port=8443))
    assert endpoint.base_url == "https://api.example:8443"
    assert (endpoint.login, endpoint.password) == ("user", "secret")


@pytest.mark.parametrize("fields", [{"login": "user"}, {"password": "other"}, {"login": "a", "password": "b"}])
def test_credentials_in_two_places_are_refused(fields: dict[str, Any]) -> None:
    """Nobody has to guess which of them are sent, and the message has neither."""
    with pytest.raises(BadConnection, match="has credentials in its host besides its login and password") as caught:
        to_endpoint("api", connection("https://user:secret@api.example", **fields))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", [None, "", " "])
def test_a_connection_needs_a_host(host: str | None) -> None:
    """The message names the connection."""
    with pytest.raises(BadConnection, match="'api' has no host"):
        to_endpoint("api", connection(host))


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("ftp://api.example", "'ftp://api.example', which isn't an http or https address"),
        ("http://", "'http://', which isn't an http or https address"),
        ("http://api.example:0", "which isn't an http or https address"),
        ("http://api.example:port", "'http://api.example:port', whose host or port can't be read"),
        ("http://[::1", "whose host or port can't be read"),
        ("ftp://user:secret@api.example", "an address with an @, which isn't an http or https address"),
        ("http://user:se/secret@api.example", "an address with an @, whose host or port can't be read"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused(host: str, says: str) -> None:
    """The message has the address, unless a password might be in it."""
    with pytest.raises(BadConnection) as caught:
        to_endpoint("api", connection(host))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
