"""Who may ask: the bearer of the token, or anybody whose basic password is the token."""

from __future__ import annotations

from hmac import compare_digest

import aiohttp


def allows(token: str | None, authorization: str | None) -> bool:
    """Return whether an Authorization header opens the service; without a token it is open to all."""
    if token is None:
        return True
    return authorization is not None and compare_digest(_secret(authorization).encode(), token.encode())


def _secret(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    try:
        return str(aiohttp.BasicAuth.decode(authorization).password)
    except ValueError:
        return ""
