from __future__ import annotations

import base64
import json
import math
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_fanout.api.oauth2 import OAuth2, Refusal, Token, read_token, token_request

URL = "https://auth.example/token?tenant=7"


def oauth2(**fields: Any) -> OAuth2:
    """Return a client with a secret."""
    return OAuth2(**{"token_url": URL, "client_id": "a:b", "client_secret": "s e&c=", **fields})


def answer(status: int = 200, **fields: Any) -> Token | Refusal:
    """Return what an answer of the token endpoint says, with a token unless it says otherwise."""
    usual = {"access_token": "abc", "token_type": "Bearer", "expires_in": 60}
    body = {name: value for name, value in {**usual, **fields}.items() if value is not None}
    return read_token(status, json.dumps(body).encode(), oauth2())


def refusal(status: int, body: bytes, **fields: Any) -> Refusal:
    """Return why an answer has no token."""
    result = read_token(status, body, oauth2(**fields))
    assert isinstance(result, Refusal)
    return result


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, {"grant_type": ["client_credentials"]}),
        (
            {"scope": "a b", "audience": "x/y"},
            {"grant_type": ["client_credentials"], "scope": ["a b"], "audience": ["x/y"]},
        ),
        (
            {"grant": "password", "username": "ada", "password": "p&q"},
            {"grant_type": ["password"], "username": ["ada"], "password": ["p&q"]},
        ),
        ({"grant": "refresh_token"}, {"grant_type": ["refresh_token"], "refresh_token": ["r+1"]}),
    ],
)
def test_each_grant_sends_what_it_needs(fields: dict[str, Any], sent: dict[str, list[str]]) -> None:
    """As a form (RFC 6749, 4.4.2, 4.3.2 and 6); the client is in basic authentication."""
    headers, body = token_request(oauth2(**fields), "r+1")
    assert parse_qs(body.decode(), strict_parsing=True) == sent
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_the_client_is_form_encoded_before_it_becomes_basic_authentication() -> None:
    """A colon in its id is no separator (RFC 6749, 2.3.1)."""
    scheme, _, pair = token_request(oauth2(), None).headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Basic", b"a%3Ab:s+e%26c%3D")


@pytest.mark.parametrize("fields", [{"client_auth": "body"}, {"client_secret": None}])
def test_the_client_may_stand_in_the_body(fields: dict[str, Any]) -> None:
    """Where the endpoint wants it there, and if there is no secret to prove."""
    headers, body = token_request(oauth2(**fields), None)
    assert "Authorization" not in headers
    assert parse_qs(body.decode())["client_id"] == ["a:b"]
    assert (b"client_secret=s+e%26c%3D" in body) is ("client_secret" not in fields)


@pytest.mark.parametrize(("expiry", "seconds"), [(60, 60.0), (1.5, 1.5), ("3600", 3600.0), (10**12, 1e12)])
def test_a_lifetime_is_a_number_of_seconds(expiry: object, seconds: float) -> None:
    """Some endpoints write it as a text."""
    assert answer(expires_in=expiry) == Token("abc", seconds)


@pytest.mark.parametrize("expiry", [0, -5, "soon", True, [60], "nan", "inf", {}])
def test_a_lifetime_that_is_none_is_refused(expiry: object) -> None:
    """The message shows it, and says what to write into the connection."""
    result = answer(expires_in=expiry)
    assert isinstance(result, Refusal)
    assert '"expires_in" that is no number of seconds above 0' in result.problem
    assert '{"expires_in": 3600}' in result.fix


def test_a_token_without_an_end_is_refused_unless_the_connection_names_one() -> None:
    """Either its seconds, or that it is used until the API refuses it."""
    body = b'{"access_token": "abc", "token_type": "bearer"}'
    assert 'a token without "expires_in"' in refusal(200, body).problem
    assert read_token(200, body, oauth2(expires_in=90.0)) == Token("abc", 90.0)
    assert read_token(200, body, oauth2(expires_in="until_refused")) == Token("abc", None)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"access_token": None}, 'without "access_token"'),
        ({"access_token": ""}, 'without "access_token"'),
        ({"access_token": 7}, 'without "access_token"'),
        ({"access_token": "a\r\nX: y"}, "can't be sent in a header"),
        ({"access_token": "a b"}, "can't be sent in a header"),
        ({"access_token": "é"}, "can't be sent in a header"),
        ({"token_type": "mac"}, 'of the type "mac"'),
    ],
)
def test_what_is_no_bearer_token_is_refused(fields: dict[str, Any], problem: str) -> None:
    """Nothing that can't be sent is sent, and no secret is in the message."""
    result = answer(**fields)
    assert isinstance(result, Refusal)
    assert problem in result.problem
    assert result.believed_after == 1


def test_an_unnamed_type_is_a_bearer_token() -> None:
    """RFC 6749 wants it named, and many endpoints don't."""
    assert answer(token_type=None) == Token("abc", 60.0)


@pytest.mark.parametrize(
    ("status", "body", "problem", "believed_after"),
    [
        (200, b"<html>Log in</html>", "answered an HTML page instead of a token", 3),
        (200, b"", "answered no JSON object", 3),
        (200, b"[]", "answered no JSON object", 3),
        (503, b"", "answered HTTP 503", math.inf),
        (429, b"", "answered HTTP 429", math.inf),
        (404, b"<html>", "answered HTTP 404, without an error of OAuth 2.0", 1),
        (302, b"", "answered with a redirect (HTTP 302)", 1),
        (401, b'{"error": "invalid_client"}', "refused with invalid_client", 1),
        (400, b'{"error": "a secret\\nline"}', "refused with an unreadable error", 1),
        (400, b'{"error": 7}', "without an error of OAuth 2.0", 1),
    ],
)
def test_what_a_refusal_says(status: int, body: bytes, problem: str, believed_after: float) -> None:
    """Its cause, and how often it has to be seen to be believed; an outage is none at all."""
    result = refusal(status, body)
    assert problem in result.problem
    assert result.believed_after == believed_after
    assert result.fix


@pytest.mark.parametrize(
    ("fields", "fix"),
    [
        ({}, "Check the client at the provider"),
        ({"grant": "password"}, '"username" and "password"'),
        ({"grant": "refresh_token"}, "put the new refresh token into the connection's extra"),
    ],
)
def test_what_to_do_depends_on_the_grant(fields: dict[str, Any], fix: str) -> None:
    """`invalid_grant` means something else for each."""
    assert fix in refusal(400, b'{"error": "invalid_grant"}', **fields).fix


def test_no_secret_is_shown() -> None:
    """Neither of the client nor of a token, and no query of the endpoint's address."""
    client = oauth2(grant="password", username="ada", password="p&q", refresh_token="r+1")
    assert repr(client) == "OAuth2(password at https://auth.example/token)"
    assert set(client.secrets) == {"s e&c=", "p&q", "r+1"}
    assert "abc" not in repr(Token("abc", 60.0, "r+2"))
    assert "r+2" not in repr(Token("abc", 60.0, "r+2"))
