"""The credentials that a task's requests are sent with, renewed when they end or are refused, once at a time.

Nothing of it is stored. Renewals are numbered, and whoever was refused says with which one: so however many requests
are refused at once, one renewal follows.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.errors import NoToken, TokenEndpointDown
from airflow_fanout.api.oauth2 import OAuth2, Refusal, Token
from airflow_fanout.api.refresh_tokens import RefreshTokens, TokenSource
from airflow_fanout.privacy.redaction import Secrets, redact

# A token is renewed when this share of its life is left, and at most a minute before its end: 15 s of a minute,
# half a second of two, and no more than a minute of an hour (which is what other clients take, too).
MARGIN_SHARE, MOST_MARGIN_S = 0.25, 60.0
# For so long after it was got, a credential that is refused is refused for the request's own sake. Each renewal that
# hasn't helped doubles it: requests that are always refused don't make a renewal each.
TRUSTED_S, MOST_TRUSTED_S = 5.0, 60.0
# Between two requests to a token endpoint that gives no token.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
# An endpoint may keep a token, and give it again until its end; then it isn't asked all the time.
SAME_TOKEN_S = 1.0
LONGEST_DESCRIPTION = 300


class Credentials(msgspec.Struct, frozen=True):
    """What requests are sent with, from one renewal to the next. Moments are those of the monotonic clock.

    :param renewal: the number of the renewal, counted from 1.
    :param endpoint: the connection with its credentials; a token is in it as `bearer`.
    :param renew_at_s: when it is to be renewed, and
    :param ends_at_s: when it is good no longer; both infinite if nobody knows.
    :param trusted_until_s: until then, a request that is refused with 401 is refused for its own sake.
    """

    renewal: int
    endpoint: Endpoint
    renew_at_s: float = math.inf
    ends_at_s: float = math.inf
    trusted_until_s: float = 0.0


class ApiLogin:
    """Logs in as a connection says, and again; safe for several threads.

    :param conn_id: what the connection is called in messages.
    :param read: reads the connection; called again after a refusal, since somebody may have changed its password.
    :param keeping: returns what keeps the refresh tokens of a Variable.
    :param limit_s: for how long a token endpoint may give no token.
    :param note: takes a sentence for the log.
    :param wait: waits for some seconds, or less if `close` is called, and returns whether it was.
    """

    def __init__(
        self,
        conn_id: str,
        read: Callable[[], Endpoint],
        *,
        keeping: Callable[[str], RefreshTokens],
        limit_s: float,
        note: Callable[[str], None] = lambda _text: None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._conn_id = conn_id
        self._read_connection = read
        self._source = TokenSource(keeping, note)
        self._limit_s = limit_s
        self._note = note
        self._is_closed = threading.Event()
        self._wait = wait or self._is_closed.wait
        self._lock = threading.Lock()
        self._useless = 0
        self._connection = read()
        self._current: Credentials | None = None

    def __repr__(self) -> str:
        renewal = self._current.renewal if self._current else 0
        return f"ApiLogin({self._conn_id!r}, renewal {renewal})"

    def close(self) -> None:
        """Wait no longer for a token: nobody needs one."""
        self._is_closed.set()

    @property
    def connection(self) -> Endpoint:
        """The connection as it was read last; its credentials may still have to be got."""
        return self._connection

    @property
    def current(self) -> Credentials:
        """The newest credentials; the first ones are got when somebody asks.

        :raises NoToken: if there is no token, and waiting can't help; `TokenEndpointDown` if it may come later.
        """
        with self._lock:
            self._current = self._current or self._new()
            return self._current

    def valid(self) -> Credentials:
        """Return credentials that are good now, renewed if it is time to."""
        with self._lock:
            if self._current is None or time.monotonic() >= self._current.renew_at_s:
                self._current = self._new()
            return self._current

    def after_refusal(self, renewal: int) -> Credentials:
        """Return the credentials after a request with those of this renewal was refused: newer ones, if there are any.

        The same ones again mean that the request was refused for its own sake.
        """
        with self._lock:
            current = self._current = self._current or self._new()
            if current.renewal > renewal or time.monotonic() < current.trusted_until_s:
                return current
            self._useless += 1
            has_changed = self._read_again()
            if has_changed or self._connection.oauth2 is not None:
                self._current = self._new()
            else:
                self._current = replace(current, trusted_until_s=time.monotonic() + self._trusted_s(math.inf))
            return self._current

    def _new(self) -> Credentials:
        renewal = self._current.renewal + 1 if self._current else 1
        oauth2 = self._connection.oauth2
        if oauth2 is None:
            trusted_until_s = time.monotonic() + self._trusted_s(math.inf)
            return Credentials(renewal, self._connection, trusted_until_s=trusted_until_s)
        asked_at_s, token = self._token(oauth2)
        lifetime_s = math.inf if token.lifetime_s is None else token.lifetime_s
        ends_at_s = asked_at_s + lifetime_s
        renew_at_s = ends_at_s - min(MOST_MARGIN_S, MARGIN_SHARE * lifetime_s)
        trusted_until_s = time.monotonic() + self._trusted_s(lifetime_s)
        endpoint = replace(self._connection, auth="bearer", password=token.access_token, oauth2=None)
        if self._current and self._current.endpoint == endpoint:
            renewal = self._current.renewal
            renew_at_s = max(ends_at_s, time.monotonic() + SAME_TOKEN_S)
        return Credentials(renewal, endpoint, renew_at_s, ends_at_s, trusted_until_s)

    def _trusted_s(self, lifetime_s: float) -> float:
        return min(TRUSTED_S * 2.0 ** min(self._useless, 10), MOST_TRUSTED_S, lifetime_s / 2)

    def _read_again(self) -> bool:
        """Read the connection again; return whether it has other credentials than before."""
        before, now = self._connection, self._read_connection()
        kept = before.with_credentials_of(now)
        # The requests under way go to the address that they were begun for, and are sent in the way that they were.
        if kept == before or now.auth != before.auth or (now.login is None) != (before.login is None):
            return False
        self._connection = kept
        self._note(f"The credentials of the connection {self._conn_id!r} have changed: the new ones are used.")
        return True

    def _token(self, oauth2: OAuth2) -> tuple[float, Token]:
        """Return a token, and when it was asked for; wait for it while the endpoint gives none that may come."""
        begun_s, refusals = time.monotonic(), 0
        while True:
            asked_at_s = time.monotonic()
            result = self._source.ask(self._connection, oauth2)
            if isinstance(result, Token):
                if refusals:
                    self._note(f"The token endpoint {oauth2.shown_url} has given a token again.")
                return asked_at_s, result
            refusals += 1
            if refusals >= result.believed_after:
                oauth2, refusals = self._corrected(oauth2, result), 0
            else:
                self._wait_for(oauth2, result, refusals, time.monotonic() - begun_s)

    def _corrected(self, oauth2: OAuth2, refusal: Refusal) -> OAuth2:
        """Return how to ask again after a refusal, if somebody has changed the connection; else raise `NoToken`."""
        if self._current and self._read_again() and self._connection.oauth2:
            return self._connection.oauth2
        secrets = Secrets((*self._connection.secrets, *self._source.secrets))
        description = redact(secrets.hide(" ".join(refusal.description.split())))[:LONGEST_DESCRIPTION]
        raise NoToken(self._conn_id, oauth2.shown_url, refusal.problem, refusal.fix, description)

    def _wait_for(self, oauth2: OAuth2, refusal: Refusal, refusals: int, passed_s: float) -> None:
        """Wait before asking again; raise `TokenEndpointDown` if that is too long, or nobody needs a token now."""
        if refusals == 1:
            self._note(f"The token endpoint {oauth2.shown_url} {refusal.problem}. It is asked again.")
        pause_s = max(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(refusals - 1, 10)), refusal.pause_s)
        if passed_s + pause_s > self._limit_s or self._wait(pause_s):
            raise TokenEndpointDown(self._conn_id, oauth2.shown_url, refusal.problem, passed_s)
