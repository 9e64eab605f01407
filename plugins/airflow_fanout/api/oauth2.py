"""OAuth 2.0 (RFC 6749) as data: what a connection says of it, the request for a token, and the token in the answer.

Nothing here sends anything. The grants are those without a browser: client credentials (RFC 6749, 4.4), the resource
owner's password (4.3) and refreshing (6). What they give is sent as RFC 6750, 2.1, has it.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import quote_plus, urlencode

import msgspec

from airflow_fanout import codec

Grant = Literal["client_credentials", "refresh_token", "password"]
ClientAuth = Literal["basic", "body"]
# In the connection's extra, for a token whose end nobody knows: it is used until the API refuses it.
UNTIL_REFUSED = "until_refused"


class OAuth2(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How tokens are asked for.

    :param token_url: the address of the token endpoint.
    :param grant: what entitles to a token.
    :param client_id: who asks, and
    :param client_secret: the secret that proves it; `None` for a client that has none.
    :param client_auth: where both go: HTTP basic authentication, or the body (RFC 6749, 2.3.1).
    :param scope: what the token is for, separated by spaces; as the endpoint has it if not given.
    :param audience: the API that the token is for, where an endpoint wants to know.
    :param username: the user of the grant `password`, and
    :param password: the user's password.
    :param refresh_token: the token of the grant `refresh_token`.
    :param refresh_token_variable: the Airflow Variable in which a refresh token is kept that changes at each use.
    :param expires_in: how long a token is good, in seconds, if the endpoint doesn't say; or `until_refused`.
    """

    token_url: str
    grant: Grant = "client_credentials"
    client_id: str
    client_secret: str | None = None
    client_auth: ClientAuth = "basic"
    scope: str | None = None
    audience: str | None = None
    username: str | None = None
    password: str | None = None
    refresh_token: str | None = None
    refresh_token_variable: str | None = None
    expires_in: float | str | None = None

    def __repr__(self) -> str:
        return f"OAuth2({self.grant} at {self.shown_url})"

    @property
    def shown_url(self) -> str:
        """The token endpoint's address for a message: a query may hold a secret."""
        return self.token_url.partition("?")[0]

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it may stand in no message."""
        return tuple(text for text in (self.client_secret, self.password, self.refresh_token) if text)


class TokenRequest(NamedTuple):
    """A request for a token: its headers and its body, for a POST to the token endpoint."""

    headers: Mapping[str, str]
    body: bytes


class Token(msgspec.Struct, frozen=True):
    """A token, and what the endpoint says of it.

    :param access_token: what opens the API.
    :param lifetime_s: for how many seconds from now it does; `None` if that shows only when it is refused.
    :param refresh_token: a refresh token that came with it.
    """

    access_token: str
    lifetime_s: float | None
    refresh_token: str | None = None

    def __repr__(self) -> str:
        return f"Token(…, {self.lifetime_s} s)"


class Refusal(NamedTuple):
    """An answer of the token endpoint that gives no token.

    :param problem: what is wrong, as a clause whose subject is the endpoint.
    :param fix: what to do, as an order.
    :param description: the endpoint's own words, which may quote a secret.
    :param believed_after: how many of them in a row are needed to believe it; infinity if it passes by itself.
    :param pause_s: for how long the endpoint wants no further request, in seconds.
    :param is_of_grant: whether what the token was asked for with isn't good, or no longer.
    """

    problem: str
    fix: str
    description: str = ""
    believed_after: float = 1
    pause_s: float = 0.0
    is_of_grant: bool = False


def token_request(oauth2: OAuth2, refresh_token: str | None) -> TokenRequest:
    """Return the request for a token.

    :param refresh_token: the one to use, for the grant `refresh_token`.
    """
    fields = {"grant_type": oauth2.grant, "scope": oauth2.scope, "audience": oauth2.audience}
    if oauth2.grant == "refresh_token":
        fields["refresh_token"] = refresh_token
    if oauth2.grant == "password":
        fields |= {"username": oauth2.username, "password": oauth2.password}
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    # Without a secret there is nothing to prove: the client only says who it is (RFC 6749, 3.2.1).
    if oauth2.client_auth == "body" or oauth2.client_secret is None:
        fields |= {"client_id": oauth2.client_id, "client_secret": oauth2.client_secret}
    else:
        # RFC 6749, 2.3.1: both are form-encoded first, so a colon in the id is no separator.
        pair = f"{quote_plus(oauth2.client_id)}:{quote_plus(oauth2.client_secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    body = urlencode({name: text for name, text in fields.items() if text is not None})
    return TokenRequest(headers, body.encode())


# RFC 6749, 5.2, and what to do.
FIXES = {
    "invalid_client": "Correct the connection's login (the client id), its password (the client secret), and "
    '"client_auth" in its extra, which says where both are sent: "basic" or "body"',
    "unauthorized_client": 'Allow the grant for this client at the provider, or correct "grant" in the extra',
    "unsupported_grant_type": "Correct \"grant\" in the connection's extra: the endpoint doesn't know this one",
    "invalid_scope": 'Correct "scope" in the connection\'s extra',
    "invalid_request": 'Compare "grant", "scope", "audience" and "client_auth" in the connection\'s extra with the '
    "provider's documentation",
}
GRANT_FIXES: Mapping[Grant, str] = {
    "client_credentials": "Check the client at the provider",
    "password": 'Correct "username" and "password" in the connection\'s extra',
    "refresh_token": "Log in again at the provider, and put the new refresh token into the connection's extra "
    '("refresh_token")',
}
OTHER_FIX = 'Check "token_url" in the connection\'s extra, and the client at the provider'
# A page of a proxy, or for a time of maintenance, may be gone at the next request.
GARBLED = 3
# What a token endpoint says when it may answer another time.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


def read_token(status: int, body: bytes, oauth2: OAuth2) -> Token | Refusal:
    """Return the token in an answer of the token endpoint, or why there is none (RFC 6749, 5.1 and 5.2)."""
    try:
        answer = codec.decode(body)
    except codec.NotJson:
        answer = None
    if status != 200:
        return _refusal(status, answer, oauth2)
    if not isinstance(answer, dict):
        kind = "an HTML page" if body.lstrip()[:1] == b"<" else "no JSON object"
        return Refusal(f"answered {kind} instead of a token", OTHER_FIX, believed_after=GARBLED)
    return _token(answer, oauth2)


def _refusal(status: int, answer: Any, oauth2: OAuth2) -> Refusal:
    if status in PASSING or status >= 500:
        return Refusal(f"answered HTTP {status}", OTHER_FIX, believed_after=math.inf)
    if 300 <= status < 400:
        fix = 'Write the address that it redirects to as "token_url": a secret is sent to no other address'
        return Refusal(f"answered with a redirect (HTTP {status})", fix)
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, str):
        return Refusal(f"answered HTTP {status}, without an error of OAuth 2.0", OTHER_FIX)
    description = answer.get("error_description")
    # Its own words are shown as such; a code that isn't one of RFC 6749's forms is among them.
    code = error if error.replace("_", "").isalnum() and len(error) <= 40 else "an unreadable error"
    is_of_grant = code == "invalid_grant"
    fix = GRANT_FIXES[oauth2.grant] if is_of_grant else FIXES.get(code, OTHER_FIX)
    words = description if isinstance(description, str) else ""
    return Refusal(f"refused with {code}", fix, words, is_of_grant=is_of_grant)


def _token(answer: Mapping[str, Any], oauth2: OAuth2) -> Token | Refusal:
    text, kind = answer.get("access_token"), answer.get("token_type", "Bearer")
    if not isinstance(text, str) or not text:
        return Refusal('gave an answer without "access_token"', OTHER_FIX)
    # RFC 6750, 2.1: what can stand behind "Bearer" is printable ASCII, without spaces.
    if not (text.isascii() and text.isprintable() and " " not in text):
        return Refusal("gave a token that can't be sent in a header", OTHER_FIX)
    if str(kind).lower() != "bearer":
        fix = "Use a client that gets bearer tokens: no other ones can be sent"
        return Refusal(f'gave a token of the type "{_short(kind)}"', fix)
    lifetime_s = _lifetime_s(answer.get("expires_in"))
    if lifetime_s is None:
        if oauth2.expires_in is None:
            return _without_end(answer)
        lifetime_s = None if oauth2.expires_in == UNTIL_REFUSED else float(oauth2.expires_in)
    refresh_token = answer.get("refresh_token")
    return Token(text, lifetime_s, refresh_token if isinstance(refresh_token, str) and refresh_token else None)


def _without_end(answer: Mapping[str, Any]) -> Refusal:
    expiry = answer.get("expires_in")
    problem = (
        'gave a token without "expires_in", so nobody knows when it ends'
        if expiry is None
        else f'gave a token with an "expires_in" that is no number of seconds above 0 ({_short(expiry)})'
    )
    fix = (
        "Write the seconds that the provider's documentation names into the connection's extra, as in "
        f'{{"expires_in": 3600}}; or {{"expires_in": "{UNTIL_REFUSED}"}} to use the token until the API refuses it'
    )
    return Refusal(problem, fix)


def _lifetime_s(expiry: Any) -> float | None:
    """Return a lifetime in seconds, which some endpoints give as a text; `None` for what is none."""
    if isinstance(expiry, bool) or not isinstance(expiry, int | float | str):
        return None
    try:
        seconds = float(expiry)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < math.inf else None


def _short(value: object) -> str:
    return str(value)[:40]
