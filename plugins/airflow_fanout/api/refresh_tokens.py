"""Where the next token comes from: from the client's own credentials, or from a refresh token, which may be replaced.

A token endpoint may give another refresh token with each token, and then the one before is worth nothing, or, used once
more, even ends all that came from it (RFC 9700, 4.14.2). Such refresh tokens are used by one task at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import Protocol

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.oauth2 import OAuth2, Refusal, Token
from airflow_fanout.api.token_endpoint import TokenEndpoint
from airflow_fanout.errors import FanoutError


class RefreshTokens(Protocol):
    """Keeps a refresh token that the token endpoint replaces at each use."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep all other tasks from using it meanwhile."""

    def read(self) -> str | None:
        """Return the refresh token; `None` if none was kept yet."""

    def write(self, token: str) -> None:
        """Keep the next one; raise whatever keeps it from being kept."""


class TokenSource:
    """Asks for one token after the other.

    :param keeping: returns what keeps the refresh tokens of the Airflow Variable with a name.
    :param note: takes a sentence for the log.
    """

    def __init__(self, keeping: Callable[[str], RefreshTokens], note: Callable[[str], None]) -> None:
        self._keeping = keeping
        self._note = note
        # What could not be kept, and is newer than what is.
        self._unkept: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may stand in no message, besides the connection's own secrets."""
        return (self._unkept,) if self._unkept else ()

    def ask(self, connection: Endpoint, oauth2: OAuth2) -> Token | Refusal:
        """Return a token, or why there is none now."""
        with closing(TokenEndpoint(connection, oauth2)) as endpoint:
            if oauth2.grant != "refresh_token":
                return endpoint.ask()
            if oauth2.refresh_token_variable is None:
                return _with_fixed(endpoint, oauth2)
            kept = self._keeping(oauth2.refresh_token_variable)
            with kept.alone():
                return self._with_kept(endpoint, oauth2, kept)

    def _with_kept(self, endpoint: TokenEndpoint, oauth2: OAuth2, kept: RefreshTokens) -> Token | Refusal:
        """Use the refresh token of the Variable, and keep the one that comes with the token."""
        stored = kept.read()
        result = Refusal(
            f'was not asked: the Variable "{oauth2.refresh_token_variable}" is empty, and so is "refresh_token" in the '
            "connection's extra",
            "Log in at the provider, and put the refresh token into the connection's extra",
        )
        # The connection's own is the first one of all, or a new one after the Variable's was lost.
        for refresh_token in filter(None, dict.fromkeys([self._unkept, stored, oauth2.refresh_token])):
            answer = endpoint.ask(refresh_token)
            if isinstance(answer, Token):
                self._keep(answer.refresh_token or refresh_token, stored, oauth2.refresh_token_variable, kept)
                return answer
            if not answer.is_of_grant:
                return answer
            result = answer
        return result

    def _keep(self, refresh_token: str, stored: str | None, variable: str | None, kept: RefreshTokens) -> None:
        self._unkept = None
        if refresh_token == stored:
            return
        try:
            kept.write(refresh_token)
        except (ConnectionError, EOFError):
            # The task's supervisor is gone, and the task ends with it.
            raise
        except Exception as error:  # noqa: BLE001 - the task has a token all the same, and tries again with the next one
            self._unkept = refresh_token
            why = str(error) if isinstance(error, FanoutError) else type(error).__name__
            self._note(
                f'The next refresh token could not be kept in the Variable "{variable}": {why} This task tries again '
                "when it renews its token. If it ends before that, log in again at the provider."
            )


def _with_fixed(endpoint: TokenEndpoint, oauth2: OAuth2) -> Token | Refusal:
    """Use the connection's refresh token, which has to be good for more than one use."""
    answer = endpoint.ask(oauth2.refresh_token)
    if isinstance(answer, Refusal) or answer.refresh_token in (None, oauth2.refresh_token):
        return answer
    return Refusal(
        "replaces the refresh token at each use, and a task can't write the next one into the connection",
        "Log in again at the provider, because the connection's refresh token is used up now. Put the new one into the "
        "connection's extra, and name an Airflow Variable there that the next ones are kept in, as in "
        '{"refresh_token_variable": "api_refresh_token"}',
    )
