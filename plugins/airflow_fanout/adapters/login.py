"""How a connection's extra says that an API is logged in to with tokens of OAuth 2.0, or with an API key.

Unlike the other kinds, these have options of their own in the extra. So a header has to be written under `headers`
here: a misspelt option is refused, and never sent as a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from airflow_fanout.api.address import BadAddress, origin_of
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.oauth2 import UNTIL_REFUSED, ClientAuth, Grant, OAuth2
from airflow_fanout.errors import BadConnection

# The extra's names for each kind, besides those that every connection may have.
OWN_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "oauth2": (
        *("token_url", "grant", "client_auth", "scope", "audience", "username", "password", "refresh_token"),
        *("refresh_token_variable", "expires_in"),
    ),
    "api_key": ("in", "name"),
}
# What each grant needs, and what is another one's.
_OF_GRANT: Mapping[str, tuple[str, ...]] = {
    "client_credentials": (),
    "password": ("username", "password"),
    "refresh_token": ("refresh_token", "refresh_token_variable"),
}
_Place = Literal["header", "query"]


def check_names(conn_id: str, auth: str | None, names: Mapping[str, Any]) -> None:
    """Refuse names in an extra that would become headers by mistake.

    :param names: the names that are no option of every connection.
    :raises BadConnection: for options of OAuth 2.0 without `auth`, and for anything else in a login with own options.
    """
    if auth is None or auth not in OWN_OPTIONS:
        if "token_url" in names:
            raise BadConnection(conn_id, 'has "token_url" in its extra, and needs {"auth": "oauth2"} beside it')
        return
    known = OWN_OPTIONS[auth]
    if unknown := [name for name in names if name not in known]:
        raise BadConnection(
            conn_id,
            f'has {unknown[0]!r} in its extra, which {{"auth": "{auth}"}} doesn\'t know. It knows {", ".join(known)}; '
            'write a header under "headers", as in {"headers": {"X-Tenant": "7"}}',
        )


def oauth2_of(conn_id: str, extra: Mapping[str, Any], login: str | None, password: str | None, base_url: str) -> OAuth2:
    """Return how a connection's tokens are got: its login is the client's id, its password the client's secret.

    :raises BadConnection: for what is missing, superfluous, or can't be read.
    """
    for name in OWN_OPTIONS["oauth2"]:
        if name != "expires_in" and extra.get(name) is not None and not isinstance(extra[name], str):
            raise BadConnection(conn_id, f'has a "{name}" in its extra that isn\'t a text')
    grant = _one_of(conn_id, "grant", extra.get("grant", "client_credentials"), get_args(Grant))
    _check_grant(conn_id, grant, extra)
    if not login:
        raise BadConnection(conn_id, 'has {"auth": "oauth2"} in its extra, but no login, which is the client id')
    if grant == "client_credentials" and not password:
        problem = 'has {"auth": "oauth2"} in its extra, but no password, which is the client secret'
        raise BadConnection(conn_id, problem)
    return OAuth2(
        token_url=_token_url(conn_id, extra.get("token_url"), base_url),
        grant=grant,
        client_id=login,
        client_secret=password or None,
        client_auth=_one_of(conn_id, "client_auth", extra.get("client_auth", "basic"), get_args(ClientAuth)),
        expires_in=_expires_in(conn_id, extra.get("expires_in")),
        **{name: extra.get(name) or None for name in ("scope", "audience", *sum(_OF_GRANT.values(), ()))},
    )


def api_key_of(
    conn_id: str, extra: Mapping[str, Any], login: str | None, key: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the header, or the query's name and value, that a connection's API key is: one of both is empty.

    :raises BadConnection: for what is missing or can't be read.
    """
    place, name = _one_of(conn_id, "in", extra.get("in", "header"), get_args(_Place)), extra.get("name")
    if not isinstance(name, str) or not name:
        problem = (
            'has {"auth": "api_key"} in its extra, but no "name" there: that of the header or of the query\'s value'
        )
        raise BadConnection(conn_id, f'{problem}, as in {{"auth": "api_key", "name": "X-Api-Key"}}')
    if not key:
        raise BadConnection(conn_id, 'has {"auth": "api_key"} in its extra, but no password, which is the key')
    if login:
        raise BadConnection(conn_id, 'has {"auth": "api_key"} in its extra, and a login, which is sent nowhere')
    return ({name: key}, {}) if place == "header" else ({}, {name: key})


def _one_of(conn_id: str, name: str, value: Any, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise BadConnection(conn_id, f'has "{name}": {str(value)[:40]!r} in its extra; known are {", ".join(known)}')
    return value


def _check_grant(conn_id: str, grant: Grant, extra: Mapping[str, Any]) -> None:
    """Refuse a grant without what it needs, and with what another one needs."""
    needed = _OF_GRANT[grant]
    has = [name for name in needed if extra.get(name)]
    if (grant == "password" and len(has) < 2) or (grant == "refresh_token" and not has):
        missing = next(name for name in needed if name not in has)
        raise BadConnection(conn_id, f'has {{"grant": "{grant}"}} in its extra, but no "{missing}" there')
    for other, names in _OF_GRANT.items():
        for name in names if other != grant else ():
            if extra.get(name):
                problem = f'has a "{name}" in its extra, which only {{"grant": "{other}"}} uses'
                raise BadConnection(conn_id, f'{problem}; its grant is "{grant}"')


def _token_url(conn_id: str, address: Any, base_url: str) -> str:
    """Return the whole address of the token endpoint; a path is below the connection's own address."""
    if not address:
        raise BadConnection(conn_id, 'has {"auth": "oauth2"} in its extra, but no "token_url" there')
    whole = f"{base_url}{address}" if address.startswith("/") else str(address)
    try:
        origin_of(whole)
        has_fragment = bool(urlsplit(whole).fragment)
    except (BadAddress, ValueError) as error:
        raise BadConnection(conn_id, f'has a "token_url" in its extra that can\'t be used: {error}') from None
    if has_fragment:
        # RFC 6749, 3.2.
        raise BadConnection(conn_id, 'has a "token_url" in its extra with a fragment (#…), which can\'t be sent')
    return whole


def _expires_in(conn_id: str, value: Any) -> float | str | None:
    if value is None or value == UNTIL_REFUSED:
        return UNTIL_REFUSED if value else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        expected = f'a number of seconds above 0, or "{UNTIL_REFUSED}"'
        raise BadConnection(conn_id, f'has an "expires_in" in its extra that isn\'t {expected}')
    return float(value)


def check_signed(conn_id: str, endpoint: Endpoint, sign: object) -> None:
    """Raise `BadConnection` if the credentials of a connection are for a function that there isn't."""
    if endpoint.auth == "signed" and sign is None:
        problem = 'has {"auth": "signed"} in its extra, and nothing signs the requests: name a function as `sign=`'
        raise BadConnection(conn_id, problem)
