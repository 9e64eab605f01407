"""An Airflow connection of type HTTP becomes an `Endpoint`, by a table.

The rules are those of Airflow's `HttpHook`, so that a connection which works there works here: the host may be a
whole address, the login makes basic authentication, and an extra that is no option is a header.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_fanout.adapters.login import OWN_OPTIONS, api_key_of, check_names, oauth2_of
from airflow_fanout.api.certificates import problem_with_files
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.proxies import check_proxies
from airflow_fanout.errors import BadConnection

if TYPE_CHECKING:
    from airflow.sdk.definitions.connection import Connection

AUTH = ("basic", "bearer", "digest", "signed", *OWN_OPTIONS)
# Airflow's own type, the one to choose where its provider for HTTP isn't installed, and one that was never chosen.
TYPES = ("http", "generic", "")
# RFC 9110, 5.1: a header's name is a token.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110, 5.5, and RFC 7617, 2: no control characters, in a header or in credentials; a tab may stand in a header.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "1", "yes", "on")


def _verify(value: Any) -> bool | str:
    text = str(value).strip()
    return _boolean(value) if text.lower() in ("true", "false", "0", "1", "yes", "no", "on", "off", "") else text


def _proxies(value: Any) -> dict[str, str | None]:
    proxies = dict(value)
    if not all(address is None or isinstance(address, str) for address in proxies.values()):
        raise TypeError
    return proxies


# The extra's name, the endpoint's field, and how the value is read.
OPTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "verify": ("verify", _verify),
    "verify_ssl": ("verify", _verify),
    "cert": ("cert", lambda value: (value[0], value[1]) if isinstance(value, list) else str(value)),
    "proxies": ("proxies", _proxies),
    "proxy": ("proxies", _proxies),
    "trust_env": ("trust_env", _boolean),
    "allow_redirects": ("allow_redirects", _boolean),
    "max_redirects": ("max_redirects", int),
    "auth": ("auth", str),
}
# Options of HttpHook that mean nothing here: time limits and the judging of answers are the report's own.
# `adapters.budget` reads the budget.
IGNORED = ("budget", "timeout", "stream", "check_response", "srv_lookup", "headers")


def endpoint_of(conn_id: str) -> Endpoint:
    """Return the endpoint that a connection describes.

    :raises BadConnection: when it isn't there, has no host, has credentials twice, or an extra can't be read.
    :raises BadProxy: when a proxy in its extra can't be used.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise BadConnection(conn_id, "isn't there", is_missing=True) from error
    return to_endpoint(conn_id, connection)


def usable_endpoint_of(conn_id: str) -> Endpoint:
    """Return the endpoint that a connection describes, whose certificate files are here and can be used.

    :raises BadConnection: as `endpoint_of` does, and when a file is missing, unreadable or no certificate.
    """
    endpoint = endpoint_of(conn_id)
    if problem := problem_with_files(endpoint):
        raise BadConnection(conn_id, problem)
    return endpoint


def to_endpoint(conn_id: str, connection: Connection) -> Endpoint:
    """Translate a connection."""
    kind = connection.conn_type or ""
    if kind == "https":
        # Airflow's own hook asks http:// of such a connection, without a word.
        problem = 'has the type "https". An address such as https://api.example is written as JSON, '
        raise BadConnection(conn_id, f'{problem}{{"conn_type": "http", "host": "https://api.example"}}')
    if kind not in TYPES:
        raise BadConnection(conn_id, f'has the type "{kind}", and an API needs one of type "http"')
    try:
        extra: dict[str, Any] = connection.extra_dejson
    except (TypeError, ValueError, AttributeError):
        raise BadConnection(conn_id, "has an extra that isn't JSON") from None
    options, headers = _options(conn_id, extra)
    address = _address(conn_id, connection)
    login, password = _credentials(conn_id, connection, address)
    _check_credentials(conn_id, login, password, options.get("auth"))
    check_proxies(options.get("proxies", {}))
    # The address goes into logs: credentials must not.
    netloc = address.netloc.rpartition("@")[2]
    if not address.port and connection.port:
        netloc = f"{netloc}:{connection.port}"
    base_url = f"{address.scheme}://{netloc}{address.path.rstrip('/')}"
    fields = _login(conn_id, extra, login, password, base_url, options.get("auth"), headers)
    return Endpoint(base_url=base_url, **options, **fields)


def _login(
    conn_id: str,
    extra: Mapping[str, Any],
    login: str | None,
    password: str | None,
    base_url: str,
    auth: str | None,
    headers: dict[str, str],
) -> dict[str, Any]:
    """Return the fields of an endpoint that say how the API is logged in to, and its headers."""
    if auth == "oauth2":
        return {"oauth2": oauth2_of(conn_id, extra, login, password, base_url), "headers": headers}
    if auth != "api_key":
        return {"login": login, "password": password, "headers": headers}
    of_key, query = api_key_of(conn_id, extra, login, password)
    if twice := {name.lower() for name in of_key} & {name.lower() for name in headers}:
        raise BadConnection(conn_id, f"has the header {twice.pop()} twice: as its API key, and in its extra")
    return {
        "headers": {**headers, **{name: _header(conn_id, name, key) for name, key in of_key.items()}},
        "query": query,
    }


def _options(conn_id: str, extra: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the endpoint's options and its headers. What can't be read is named; its value may be a secret."""
    options: dict[str, Any] = {}
    for key, (name, read) in OPTIONS.items():
        if key in extra:
            try:
                options[name] = read(extra[key])
            except (TypeError, ValueError, LookupError, AttributeError):
                raise BadConnection(conn_id, f'has a "{key}" in its extra that can\'t be read') from None
    if options.get("auth", "basic") not in AUTH:
        raise BadConnection(conn_id, f"has auth={options['auth']!r} in its extra; known are {', '.join(AUTH)}")
    named = extra.get("headers") or {}
    if not isinstance(named, Mapping):
        raise BadConnection(conn_id, 'has "headers" in its extra that are no object of names and values')
    plain = {name: value for name, value in extra.items() if name not in OPTIONS and name not in IGNORED}
    check_names(conn_id, options.get("auth"), plain)
    if options.get("auth") in OWN_OPTIONS:
        plain = {}
    return options, {name: _header(conn_id, name, value) for name, value in {**plain, **named}.items()}


def _header(conn_id: str, name: str, value: Any) -> str:
    if not _TOKEN.fullmatch(name):
        raise BadConnection(conn_id, f"has {name!r} among its headers, which is no name of a header")
    if isinstance(value, Mapping | list) or value is None:
        raise BadConnection(conn_id, f"has a header {name} in its extra whose value isn't a text")
    text = str(value)
    if problem := _unsendable(text.replace("\t", " ")):
        raise BadConnection(conn_id, f"has {problem} in the header {name} of its extra")
    return text


def _unsendable(text: str) -> str | None:
    """Return what can't stand in a header, in words that don't show the text."""
    if control := _CONTROL.search(text):
        what = "a line break" if control[0] in "\r\n" else "a control character"
        return f"{what} at the end" if control.start() >= len(text.rstrip("\r\n")) else what
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return "a character that HTTP can't send (outside of Latin-1)"
    return None


def _check_credentials(conn_id: str, login: str | None, password: str | None, auth: str | None) -> None:
    """Refuse credentials that would be sent wrongly, or not at all."""
    for field, text in (("login", login), ("password", password)):
        control = _CONTROL.search(text or "")
        if control or (auth == "bearer" and _unsendable(text or "")):
            raise BadConnection(conn_id, f"has {_unsendable(text or '')} in its {field}; remove it")
    if auth is None and password and login is None:
        raise BadConnection(
            conn_id,
            "has a password, but no login, and its extra doesn't say how the password is sent. For a token write "
            '{"auth": "bearer"} into the extra; for basic authentication fill in the login (if the API wants none, '
            'write {"auth": "basic"})',
        )
    if auth == "bearer" and not password:
        raise BadConnection(conn_id, 'has {"auth": "bearer"} in its extra, but no password, which is the token')
    if auth == "digest" and not login:
        raise BadConnection(conn_id, 'has {"auth": "digest"} in its extra, but no login')
    if auth in (None, "basic") and ":" in (login or ""):
        # RFC 7617, 2: the server takes what follows for a part of the password.
        raise BadConnection(conn_id, "has a colon in its login, which basic authentication can't send")


def _address(conn_id: str, connection: Connection) -> SplitResult:
    host = (connection.host or "").strip()
    if not host:
        raise BadConnection(conn_id, "has no host")
    address = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    # What stands before an "@" may be a password, and this message is for everybody.
    shown = repr(address) if "@" not in address else "an address with an @"
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # The error quotes what it takes for the port, which may be a part of a password, too.
        raise BadConnection(conn_id, f"leads to {shown}, whose host or port can't be read") from None
    if not good:
        raise BadConnection(conn_id, f"leads to {shown}, which isn't an http or https address")
    if parts.query or parts.fragment:
        raise BadConnection(
            conn_id, "has a query (?…) or a fragment (#…) in its host, which can't be sent; put it into the request"
        )
    return parts


def _credentials(conn_id: str, connection: Connection, address: SplitResult) -> tuple[str | None, str | None]:
    if not address.username and not address.password:
        return connection.login or None, connection.password
    if connection.login or connection.password:
        raise BadConnection(conn_id, "has credentials in its host besides its login and password; remove one of them")
    return unquote(address.username or ""), unquote(address.password or "") or None
