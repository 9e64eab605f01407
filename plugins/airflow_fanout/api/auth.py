"""How an endpoint's credentials are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from airflow_fanout.api.endpoint import Endpoint

if TYPE_CHECKING:
    import requests


# What says nothing but what a client is and what it wants.
HARMLESS = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
    }
)


class BearerAuth(AuthBase):
    """Sends a token as RFC 6750 has it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into the request's headers."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class ConnectionDigestAuth(HTTPDigestAuth):
    """The connection's own digest authentication, which answers challenges by hooks, at its own origin only."""


def auth_of(endpoint: Endpoint) -> AuthBase | None:
    """Return what puts an endpoint's credentials into a request; `None` if it has none, or they are no part of this."""
    if endpoint.auth == "oauth2":
        raise AssertionError("a token has to be got before the first request")
    if endpoint.auth == "bearer":
        return BearerAuth(endpoint.password or "")
    if endpoint.login is None or endpoint.auth == "signed":
        return None
    build = ConnectionDigestAuth if endpoint.auth == "digest" else HTTPBasicAuth
    return build(endpoint.login, endpoint.password or "")


def is_authorization(name: str) -> bool:
    """Return whether a header of this name has credentials."""
    return name.lower() == "authorization"


class Introduced(AuthBase):
    """Puts an endpoint's credentials into a request, and notes whose they are."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._auth = auth_of(endpoint)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put them into a request."""
        request.introduced_by = self._endpoint  # type: ignore[attr-defined] # for `reintroduce`
        return self._auth(request) if self._auth is not None else request


def introduction_of(endpoint: Endpoint) -> AuthBase | None:
    """Return what introduces a request as the endpoint's; `None` if the endpoint has no credentials."""
    has_credentials = endpoint.login is not None or endpoint.auth in ("bearer", "api_key", "oauth2", "signed")
    return Introduced(endpoint) if has_credentials else None


def reintroduce(request: requests.PreparedRequest, endpoint: Endpoint) -> None:
    """Replace the credentials that an endpoint had by those that it has now; whatever else is in a request stays."""
    before: Endpoint | None = getattr(request, "introduced_by", None)
    if before is None or before is endpoint:
        return
    for name, text in endpoint.headers.items():
        if request.headers.get(name) == before.headers.get(name):
            request.headers[name] = text
    for name, text in endpoint.query.items():
        older = urlencode({name: before.query.get(name, "")})
        request.url = (request.url or "").replace(older, urlencode({name: text}))
    for event, hooks in request.hooks.items():
        request.hooks[event] = [hook for hook in hooks if not is_own_hook(hook)]
    request.prepare_auth(Introduced(endpoint))


def is_own_hook(hook: object) -> bool:
    """Return whether a hook is that of the connection's own digest authentication."""
    return isinstance(getattr(hook, "__self__", None), ConnectionDigestAuth)
