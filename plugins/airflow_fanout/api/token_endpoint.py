"""Asks a token endpoint for a token: one request, and what came of it as a value."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from urllib.parse import urlsplit

from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.failures import outcome_of
from airflow_fanout.api.oauth2 import GARBLED, OTHER_FIX, OAuth2, Refusal, Token, read_token, token_request
from airflow_fanout.api.ratelimit import pause_s
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.model.outcome import Cause, Kind
from airflow_fanout.model.reasons import REMEDIES, reason_of
from airflow_fanout.model.settings import FetchSettings, Timeouts
from airflow_fanout.privacy.telling import words_of
from airflow_fanout.wire.deadline import Deadline, DeadlineAdapter

# A token with all that comes with it is a few kilobytes.
MOST_BYTES = 1 << 20
TIMEOUTS = Timeouts(connect_s=10.0, read_s=15.0, total_s=20.0)
# A cause that waiting doesn't cure, an unknown host for instance, is believed as soon as it is as that of an API.
BELIEVED_AFTER = 3


class TokenEndpoint:
    """Gets tokens as a connection says. The connection's `verify`, `cert` and proxies are the token endpoint's, too.

    :param endpoint: the connection.
    :param oauth2: how its tokens are asked for.
    :param timeouts: how long one request may take.
    """

    def __init__(self, endpoint: Endpoint, oauth2: OAuth2, timeouts: Timeouts = TIMEOUTS) -> None:
        self._oauth2 = oauth2
        address = urlsplit(oauth2.token_url)
        # Its headers are the API's, and netrc has no part in this: the request has its own credentials.
        there = replace(
            endpoint,
            base_url=f"{address.scheme}://{address.netloc}",
            login=None,
            password=None,
            auth="api_key",
            oauth2=None,
            headers={},
            query={},
            # A redirect would take the client's secret along.
            allow_redirects=False,
        )
        self._deadline = Deadline(timeouts.total_s)
        self._session = FanoutSession(there, FetchSettings(concurrency=1, timeouts=timeouts, max_body_bytes=MOST_BYTES))
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, DeadlineAdapter(MOST_BYTES, self._deadline))

    def ask(self, refresh_token: str | None = None) -> Token | Refusal:
        """Return a token, or why there is none now.

        :param refresh_token: the one to use, for the grant `refresh_token`.
        """
        headers, body = token_request(self._oauth2, refresh_token)
        self._deadline.start()
        try:
            response = self._session.post(self._oauth2.token_url, data=body, headers=headers)
        except (OSError, ValueError) as error:
            return _unanswered(error)
        result = read_token(response.status_code, response.content, self._oauth2)
        asked_s = pause_s(response.headers, datetime.now(UTC))
        return result._replace(pause_s=asked_s) if isinstance(result, Refusal) and asked_s else result

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _unanswered(error: Exception) -> Refusal:
    """Return what an exception says: a cause that somebody has to remove, or one that may pass."""
    outcome = outcome_of(error)
    if outcome.kind is Kind.INVALID:
        return Refusal(f"gave an answer that can't be read ({reason_of(outcome)})", OTHER_FIX, believed_after=GARBLED)
    if outcome.cause is None:
        return Refusal(f"gave no answer ({reason_of(outcome)})", OTHER_FIX, believed_after=math.inf)
    said = words_of(outcome.failure, kind=outcome.kind, status=outcome.status) if outcome.failure else ""
    filled = {"connection": "the token endpoint", "said": said}
    remedy = REMEDIES[outcome.cause]
    fix = remedy.fix.format(**filled)
    if outcome.cause is Cause.UNKNOWN_HOST:
        fix = 'Correct "token_url" in the connection\'s extra, or fix name resolution on the workers'
    return Refusal(f"can't be asked: {remedy.problem.format(**filled)}", fix, believed_after=BELIEVED_AFTER)
