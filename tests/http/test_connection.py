from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_fanout.adapters.connection import to_endpoint
from airflow_fanout.api.errors import BadProxy
from airflow_fanout.errors import BadConnection


def connection(host: str | None, *, conn_type: str | None = "http", **fields: Any) -> Connection:
    """Return a connection as Airflow gives it."""
    return Connection(conn_id="api", conn_type=conn_type, host=host, **fields)


def refusal(host: str = "api.example", **fields: Any) -> str:
    """Return the message with which a connection is refused."""
    with pytest.raises(BadConnection) as caught:
        to_endpoint("api", connection(host, **fields))
    return str(caught.value)


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


def test_a_password_that_nobody_said_how_to_send_is_refused() -> None:
    """Without a login and without `auth` it would be dropped; the message says both ways to write it."""
    said = refusal(password="t0ken")
    assert "a password, but no login" in said
    assert '{"auth": "bearer"}' in said
    assert "t0ken" not in said
    for auth in ("bearer", "basic"):
        extra = json.dumps({"auth": auth})
        assert to_endpoint("api", connection("api.example", password="t0ken", extra=extra)).auth == auth


@pytest.mark.parametrize("auth", ["bearer", "digest"])
def test_authentication_without_its_secret_is_refused(auth: str) -> None:
    """A bearer without a token, or digest without a login, would send nothing, or an empty token."""
    assert f'"auth": "{auth}"' in refusal(extra=json.dumps({"auth": auth}))


BAD_TEXTS = ["t0ken\n", "t0\r\nken", "t0ken\r", "\nt0ken", "t0\0ken", "t0\x1bken", "t0\x7fken"]


@pytest.mark.parametrize("text", BAD_TEXTS, ids=ascii)
def test_a_control_character_in_a_connection_is_refused_without_showing_the_value(text: str) -> None:
    """In a token, a password, a login or a header: the field is named, and nothing of its value is shown."""
    bearer = json.dumps({"auth": "bearer"})
    said = {
        "in its password": refusal(password=text, extra=bearer),
        "in its password;": refusal(login="ada", password=text),
        "in its login": refusal(login=text, password="secret"),
        "in the header X-Key": refusal(extra=json.dumps({"headers": {"X-Key": text}})),
        "in the header X-Other": refusal(extra=json.dumps({"X-Other": text})),
    }
    for field, message in said.items():
        assert field in message
        assert "ken" not in message
    assert any(what in said["in its login"] for what in ("a line break", "a control character"))


def test_what_http_cannot_send_is_refused() -> None:
    """A header is Latin-1, and a tab is no control character there; a login has no colon in basic authentication."""
    assert "Latin-1" in refusal(password="t0ken–", extra=json.dumps({"auth": "bearer"}))
    assert "Latin-1" in refusal(extra=json.dumps({"headers": {"X-Key": "–"}}))
    assert "colon" in refusal(login="a:b", password="secret")
    assert to_endpoint("api", connection("api.example", extra=json.dumps({"X-Key": "a\tb"}))).headers == {
        "X-Key": "a\tb"
    }


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"headers": "X-Key: s3cret"}, '"headers" in its extra that are no object'),
        ({"headers": {"X Key": "s3cret"}}, "'X Key' among its headers"),
        ({"headers": {"X-Key": {"s3cret": 1}}}, "a header X-Key in its extra whose value isn't a text"),
        ({"headers": {"X-Key": None}}, "a header X-Key in its extra whose value isn't a text"),
        ({"proxies": "http://ada:s3cret@proxy"}, '"proxies" in its extra that can\'t be read'),
        ({"proxies": {"https": ["http://ada:s3cret@proxy"]}}, '"proxies" in its extra that can\'t be read'),
        ({"max_redirects": "s3cret"}, '"max_redirects" in its extra that can\'t be read'),
    ],
    ids=repr,
)
def test_an_extra_that_cannot_be_read_is_refused_without_showing_it(extra: dict[str, Any], says: str) -> None:
    """Its key is named; the value may be a secret."""
    said = refusal(extra=json.dumps(extra))
    assert says in said
    assert "s3cret" not in said


def test_a_proxy_of_an_unknown_kind_is_refused_before_any_engine_is_started() -> None:
    """What begins it is named; the rest may hold a password."""
    extra = json.dumps({"proxies": {"https": "quic://ada:s3cret@proxy:1"}})
    with pytest.raises(BadProxy, match=r"\(quic://…\) can't be used") as caught:
        to_endpoint("api", connection("api.example", extra=extra))
    assert "s3cret" not in str(caught.value)
    assert not caught.value.retry


@pytest.mark.parametrize("host", ["https://api.example/v1?key=s3cret", "https://api.example/#s3cret"])
def test_a_query_in_the_host_is_refused(host: str) -> None:
    """It would be dropped silently, and with it perhaps a key."""
    said = refusal(host)
    assert "has a query" in said
    assert "s3cret" not in said


def test_a_connection_of_another_type_is_refused() -> None:
    """The message says which type it has; an `https://` address of Airflow's own form would be asked without TLS."""
    assert 'the type "mongo"' in refusal(conn_type="mongo")
    assert '"host": "https://api.example"' in refusal(conn_type="https")
    for kind in ("http", "generic", None):
        assert to_endpoint("api", connection("api.example", conn_type=kind)).base_url == "http://api.example"
