"""How an endpoint's credentials are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from airflow_fanout.api.endpoint import Endpoint

if TYPE_CHECKING:
    import requests


class BearerAuth(AuthBase):
    """Sends a token as RFC 6750 has it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put the token into the request's headers."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def auth_of(endpoint: Endpoint) -> AuthBase | None:
    """Return what puts an endpoint's credentials into a request; `None` if it has none."""
    if endpoint.auth == "bearer":
        return BearerAuth(endpoint.password or "")
    if endpoint.login is None:
        return None
    build = HTTPDigestAuth if endpoint.auth == "digest" else HTTPBasicAuth
    return build(endpoint.login, endpoint.password or "")


def is_authorization(name: str) -> bool:
    """Return whether a header of this name has credentials."""
    return name.lower() == "authorization"
