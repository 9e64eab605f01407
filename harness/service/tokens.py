"""The tokens that open the service: an OAuth 2.0 token endpoint (RFC 6749) for clients without a browser."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.service.faults import Faults
    from harness.service.options import Options


class GrantRefused(Exception):
    """What was sent doesn't get a token: ``error`` is one of RFC 6749, 5.2."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status = status
        self.error = error


@dataclass(slots=True)
class TokenCounts:
    """How many tokens were issued, and how many requests for one were refused, since the start or the last reset."""

    issued: int = 0
    refused: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts as /stats tells them."""
        return {"issued": self.issued, "refused": self.refused}


class Issuer:
    """Issues tokens to the one client that the options name, and knows which of them are good."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._ends: dict[str, float] = {}
        self._refresh_token = options.refresh_token
        self._issued = 0

    @property
    def is_on(self) -> bool:
        """Whether the service is opened by tokens."""
        return self._options.client_id is not None

    def is_good(self, authorization: str | None, now: float) -> bool:
        """Return whether an Authorization header has a token that hasn't ended."""
        scheme, _, token = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and self._ends.get(token, 0.0) > now

    def revoke(self) -> None:
        """End all tokens now."""
        self._ends.clear()

    def issue(
        self, form: Mapping[str, str], authorization: str | None, faults: Faults, now: float
    ) -> dict[str, str | float]:
        """Return the answer with a new token; raise GrantRefused."""
        self._check_client(form, authorization)
        if faults.token_refused:
            raise GrantRefused(400, "invalid_grant")
        self._check_grant(form)
        self._issued += 1
        token = f"access-{self._options.seed}-{self._issued:06}"
        self._ends = {other: end for other, end in self._ends.items() if end > now}
        self._ends[token] = now + faults.token_lifetime_s
        answer: dict[str, str | float] = {"access_token": token, "token_type": "Bearer"}
        if not faults.token_endless:
            answer["expires_in"] = faults.token_lifetime_s
        if form["grant_type"] == "refresh_token" and faults.token_rotates:
            self._refresh_token = answer["refresh_token"] = f"refresh-{self._options.seed}-{self._issued:06}"
        return answer

    def _check_client(self, form: Mapping[str, str], authorization: str | None) -> None:
        if authorization is None:
            pair = (form.get("client_id", ""), form.get("client_secret", ""))
        else:
            try:
                basic = aiohttp.BasicAuth.decode(authorization)
            except ValueError as error:
                raise GrantRefused(401, "invalid_client") from error
            # RFC 6749, 2.3.1: both are form-encoded before they become basic authentication.
            pair = (unquote_plus(basic.login), unquote_plus(basic.password))
        expected = (self._options.client_id or "", self._options.client_secret or "")
        if not _same(pair, expected):
            raise GrantRefused(401, "invalid_client")

    def _check_grant(self, form: Mapping[str, str]) -> None:
        options = self._options
        match form.get("grant_type"):
            case "client_credentials":
                return
            case "password":
                pair = (form.get("username", ""), form.get("password", ""))
                is_good = options.username is not None and _same(pair, (options.username, options.password or ""))
            case "refresh_token":
                is_good = self._refresh_token is not None and _same(
                    (form.get("refresh_token", ""),), (self._refresh_token,)
                )
            case _:
                raise GrantRefused(400, "unsupported_grant_type")
        if not is_good:
            raise GrantRefused(400, "invalid_grant")


def _same(sent: tuple[str, ...], expected: tuple[str, ...]) -> bool:
    return all(compare_digest(ours.encode(), theirs.encode()) for ours, theirs in zip(sent, expected, strict=True))
