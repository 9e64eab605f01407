"""An Airflow connection of type HTTP becomes an `Endpoint`, by a table.

The rules are those of Airflow's `HttpHook`, so that a connection which works there works here: the host may be a
whole address, the login makes basic authentication, and an extra that is no option is a header.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_fanout.endpoint import Endpoint
from airflow_fanout.errors import BadConnection

if TYPE_CHECKING:
    from airflow.sdk.definitions.connection import Connection

AUTH = ("basic", "bearer", "digest")


def _boolean(value: Any) -> bool:
    return value if isinstance(value, bool) else str(value).strip().lower() in ("true", "1", "yes", "on")


def _verify(value: Any) -> bool | str:
    text = str(value).strip()
    return _boolean(value) if text.lower() in ("true", "false", "0", "1", "yes", "no", "on", "off", "") else text


def _cert(value: Any) -> str | tuple[str, str]:
    return (value[0], value[1]) if isinstance(value, list) else str(value)


# The extra's name, the endpoint's field, and how the value is read.
OPTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "verify": ("verify", _verify),
    "verify_ssl": ("verify", _verify),
    "cert": ("cert", _cert),
    "proxies": ("proxies", dict),
    "proxy": ("proxies", dict),
    "trust_env": ("trust_env", _boolean),
    "allow_redirects": ("allow_redirects", _boolean),
    "max_redirects": ("max_redirects", int),
    "auth": ("auth", str),
}
# Options of HttpHook that mean nothing here: time limits and the judging of answers are the report's own.
IGNORED = ("timeout", "stream", "check_response", "srv_lookup", "headers")


def endpoint_of(conn_id: str) -> Endpoint:
    """Return the endpoint that a connection describes.

    :raises BadConnection: when it isn't there, has no host, has credentials twice, or an extra can't be read.
    """
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException as error:
        raise BadConnection(conn_id, "isn't there") from error
    return to_endpoint(conn_id, connection)


def to_endpoint(conn_id: str, connection: Connection) -> Endpoint:
    """Translate a connection."""
    try:
        extra = connection.extra_dejson
        options = {name: read(extra[key]) for key, (name, read) in OPTIONS.items() if key in extra}
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise BadConnection(conn_id, f"has an extra that can't be read ({error})") from error
    if options.get("auth", "basic") not in AUTH:
        raise BadConnection(conn_id, f"has auth={options['auth']!r} in its extra; known are {', '.join(AUTH)}")
    address = _address(conn_id, connection)
    login, password = _credentials(conn_id, connection, address)
    return Endpoint(
        base_url=_base_url(address, connection.port),
        login=login,
        password=password,
        headers=_headers(extra),
        **options,
    )


def _headers(extra: dict[str, Any]) -> dict[str, str]:
    plain = {name: value for name, value in extra.items() if name not in OPTIONS and name not in IGNORED}
    return {name: str(value) for name, value in {**plain, **(extra.get("headers") or {})}.items()}


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
    return parts


def _credentials(conn_id: str, connection: Connection, address: SplitResult) -> tuple[str | None, str | None]:
    if not address.username and not address.password:
        return connection.login or None, connection.password
    if connection.login or connection.password:
        raise BadConnection(conn_id, "has credentials in its host besides its login and password; remove one of them")
    # The address goes into logs: credentials must not.
    return unquote(address.username or ""), unquote(address.password or "") or None


def _base_url(address: SplitResult, port: int | None) -> str:
    netloc = address.netloc.rpartition("@")[2]
    if not address.port and port:
        netloc = f"{netloc}:{port}"
    return f"{address.scheme}://{netloc}{address.path.rstrip('/')}"
