"""Who gives a session the credentials of a request, and says after a 401 whether there are newer ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, Protocol

from airflow_fanout.api.endpoint import Endpoint

if TYPE_CHECKING:
    import requests

    from airflow_fanout.api.login import ApiLogin

# A server that refuses each of them has another fault.
MOST_RENEWALS = 5
REFUSED = 401


class Current(NamedTuple):
    """Credentials, as part of an endpoint, and the number of the renewal that they come from."""

    endpoint: Endpoint
    renewal: int


class CredentialSource(Protocol):
    """Gives the credentials that are good now."""

    def ready(self) -> Current:
        """Return the credentials to send with; wait while there are none that are good."""

    def is_outdated(self, renewal: int) -> bool:
        """Return whether a request is worth repeating that was refused with the credentials of a renewal."""


class FixedCredentials:
    """Credentials that nobody renews."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._current = Current(endpoint, 0)

    def ready(self) -> Current:
        """Return the credentials."""
        return self._current

    def is_outdated(self, renewal: int) -> bool:  # noqa: ARG002 - there is one
        """Return that there are no newer ones."""
        return False


class OwnCredentials:
    """The credentials of a login in the same process, which are renewed when a request needs it."""

    def __init__(self, login: ApiLogin) -> None:
        self._login = login

    def ready(self) -> Current:
        """Return credentials that are good now."""
        credentials = self._login.valid()
        return Current(credentials.endpoint, credentials.renewal)

    def is_outdated(self, renewal: int) -> bool:
        """Return whether there are newer ones, after asking for them if need be."""
        return self._login.after_refusal(renewal).renewal > renewal


def sent_with(
    access: CredentialSource, send: Callable[[Endpoint], tuple[requests.Response, bool]], *, is_repeatable: bool
) -> requests.Response:
    """Send a request with credentials that are good; again, if newer ones have come by the time that these are refused.

    A request that is refused with 401 hasn't been carried out (RFC 9110, 15.5.2), so repeating it does no harm.

    :param send: sends the request with an endpoint's credentials; returns the answer, and whether it had these.
    :param is_repeatable: whether what is sent can be sent again.
    """
    for repeated in count():
        endpoint, renewal = access.ready()
        response, had_credentials = send(endpoint)
        is_refused = response.status_code == REFUSED and had_credentials
        if not (is_refused and is_repeatable and repeated < MOST_RENEWALS and access.is_outdated(renewal)):
            return response
        response.close()
    raise AssertionError("counting doesn't end")
