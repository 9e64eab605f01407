from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_fanout.adapters.connection import to_endpoint
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.oauth2 import OAuth2
from airflow_fanout.errors import BadConnection

TOKENS = {"auth": "oauth2", "token_url": "https://auth.example/token"}
CLIENT = {"login": "me", "password": "secret"}


def endpoint(extra: dict[str, Any], **fields: Any) -> Endpoint:
    """Return what a connection leads to."""
    connection = Connection(conn_id="api", conn_type="http", host="https://api.example/v1", **fields)
    connection.extra = json.dumps(extra)
    return to_endpoint("api", connection)


def refusal(extra: dict[str, Any], **fields: Any) -> str:
    """Return the message with which a connection is refused; it shows no secret."""
    with pytest.raises(BadConnection) as caught:
        endpoint(extra, **fields)
    assert "secret" not in str(caught.value).replace("client secret", "")
    return str(caught.value)


def test_a_connection_says_how_tokens_are_got() -> None:
    """Its login is the client's id, its password the client's secret; no request has either."""
    read = endpoint(
        {**TOKENS, "scope": "a b", "audience": "x", "headers": {"X-Tenant": "7"}, "verify": False}, **CLIENT
    )
    assert read.oauth2 == OAuth2(
        token_url="https://auth.example/token", client_id="me", client_secret="secret", scope="a b", audience="x"
    )
    assert (read.auth, read.login, read.password) == ("oauth2", None, None)
    assert (read.headers, read.verify) == ({"X-Tenant": "7"}, False)


@pytest.mark.parametrize(
    ("extra", "fields"),
    [
        ({"client_auth": "body"}, {"client_auth": "body"}),
        ({"token_url": "/oauth/token"}, {"token_url": "https://api.example/v1/oauth/token"}),
        ({"expires_in": 90}, {"expires_in": 90.0}),
        ({"expires_in": "until_refused"}, {"expires_in": "until_refused"}),
        (
            {"grant": "password", "username": "ada", "password": "secret two"},
            {"grant": "password", "username": "ada", "password": "secret two"},
        ),
        ({"grant": "refresh_token", "refresh_token": "r"}, {"grant": "refresh_token", "refresh_token": "r"}),
        (
            {"grant": "refresh_token", "refresh_token_variable": "v"},
            {"grant": "refresh_token", "refresh_token_variable": "v"},
        ),
    ],
)
def test_each_option_is_read(extra: dict[str, Any], fields: dict[str, Any]) -> None:
    """A path as the token endpoint's address is below the connection's own."""
    usual = {"token_url": "https://auth.example/token", "client_id": "me", "client_secret": "secret"}
    assert endpoint({**TOKENS, **extra}, **CLIENT).oauth2 == OAuth2(**{**usual, **fields})


def test_a_client_without_a_secret_may_use_what_a_user_gave_it() -> None:
    """A public client (RFC 6749, 2.1): only client credentials need a secret."""
    read = endpoint({**TOKENS, "grant": "refresh_token", "refresh_token": "r"}, login="me")
    assert read.oauth2 is not None
    assert read.oauth2.client_secret is None


@pytest.mark.parametrize(
    ("extra", "fields", "problem"),
    [
        ({"token_url": None}, CLIENT, 'no "token_url" there'),
        ({"token_url": "auth.example/token"}, CLIENT, '"token_url" in its extra that can\'t be used'),
        ({"token_url": "ftp://auth.example/token"}, CLIENT, "isn't one of http or https"),
        ({"token_url": "https://me:secret@auth.example/"}, CLIENT, "has credentials before its host"),
        ({"token_url": "https://auth.example/token#a"}, CLIENT, "with a fragment"),
        ({"token_url": 7}, CLIENT, '"token_url" in its extra that isn\'t a text'),
        ({"scope": ["a"]}, CLIENT, '"scope" in its extra that isn\'t a text'),
        ({"grant": "authorization_code"}, CLIENT, "known are client_credentials, refresh_token, password"),
        ({"client_auth": "header"}, CLIENT, "\"client_auth\": 'header' in its extra; known are basic, body"),
        ({"expires_in": 0}, CLIENT, 'a number of seconds above 0, or "until_refused"'),
        ({"expires_in": "never"}, CLIENT, 'a number of seconds above 0, or "until_refused"'),
        ({"expires_in": True}, CLIENT, 'a number of seconds above 0, or "until_refused"'),
        ({}, {"password": "secret"}, "no login, which is the client id"),
        ({}, {"login": "me"}, "no password, which is the client secret"),
        ({"grant": "password", "username": "ada"}, CLIENT, 'no "password" there'),
        ({"grant": "password", "password": "x"}, CLIENT, 'no "username" there'),
        ({"grant": "refresh_token"}, CLIENT, 'no "refresh_token" there'),
        ({"refresh_token": "r"}, CLIENT, 'has a "refresh_token" in its extra, which only {"grant": "refresh_token"}'),
        ({"username": "ada"}, CLIENT, 'has a "username" in its extra, which only {"grant": "password"} uses'),
        ({"scopes": "a"}, CLIENT, 'has \'scopes\' in its extra, which {"auth": "oauth2"} doesn\'t know'),
        ({"X-Tenant": "7"}, CLIENT, 'write a header under "headers"'),
        ({"auth": "OAuth2"}, CLIENT, "known are basic, bearer, digest, signed, oauth2, api_key"),
    ],
)
def test_what_can_not_work_names_the_field(extra: dict[str, Any], fields: dict[str, Any], problem: str) -> None:
    """Before the first request, and a misspelt option is never sent as a header."""
    assert problem in refusal({**TOKENS, **extra}, **fields)


def test_a_token_endpoint_without_auth_is_refused() -> None:
    """The secret would be sent to the API as basic authentication, and the address as a header."""
    problem = refusal({"token_url": "https://auth.example/token"}, **CLIENT)
    assert 'has "token_url" in its extra, and needs {"auth": "oauth2"} beside it' in problem


def test_an_api_key_is_sent_in_a_header_or_in_the_query() -> None:
    """It is the connection's password, which Airflow keeps encrypted."""
    key = {"auth": "api_key", "name": "X-Api-Key", "headers": {"X-Tenant": "7"}}
    read = endpoint(key, password="secret")
    assert (read.headers, read.query) == ({"X-Api-Key": "secret", "X-Tenant": "7"}, {})
    read = endpoint({**key, "in": "query", "name": "key"}, password="secret")
    assert (read.headers, read.query) == ({"X-Tenant": "7"}, {"key": "secret"})
    assert "secret" in read.secrets
    assert "secret" not in repr(read)


@pytest.mark.parametrize(
    ("extra", "fields", "problem"),
    [
        ({}, {"password": "secret"}, 'no "name" there'),
        ({"name": 7}, {"password": "secret"}, 'no "name" there'),
        ({"name": "X-Key"}, {}, "no password, which is the key"),
        ({"name": "X-Key"}, CLIENT, "and a login, which is sent nowhere"),
        ({"name": "X-Key", "in": "cookie"}, {"password": "secret"}, "known are header, query"),
        ({"name": "X Key"}, {"password": "secret"}, "which is no name of a header"),
        ({"name": "X-Key"}, {"password": "secret\n"}, "a line break at the end in its password"),
        ({"name": "X-Key", "headers": {"x-key": "1"}}, {"password": "secret"}, "has the header x-key twice"),
        ({"name": "X-Key", "place": "query"}, {"password": "secret"}, "has 'place' in its extra"),
    ],
)
def test_an_api_key_that_can_not_be_sent_names_the_field(
    extra: dict[str, Any], fields: dict[str, Any], problem: str
) -> None:
    """Before the first request, without the key."""
    assert problem in refusal({"auth": "api_key", **extra}, **fields)
