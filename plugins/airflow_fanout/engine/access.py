"""The credentials of an engine: those that its parent has sent last, and whether requests wait for newer ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from airflow_fanout.api.access import CredentialSource, Current
from airflow_fanout.api.settled import settled
from airflow_fanout.api.signing import Signing
from airflow_fanout.control.traffic import Traffic
from airflow_fanout.launch.job import Job, Terms
from airflow_fanout.launch.messages import CredentialsRefused, NewCredentials

# Takes an endpoint with other credentials, and the number of the renewal that they come from.
Use = Callable[[Any, int], None]


class EngineAccess:
    """Gives the credentials of the newest renewal.

    When they end, and when the API has refused them, nothing is sent until the parent has sent newer ones, or has
    confirmed these. `wake` is called when requests may be sent again.

    :param job: has the first credentials.
    :param traffic: is held while there are none that are good.
    :param tell: tells the parent that credentials were refused.

    `signing` signs requests with the newest credentials, if the job has a function for that.
    """

    def __init__(self, job: Job, traffic: Traffic, tell: Callable[[CredentialsRefused], None]) -> None:
        self._endpoint = settled(job.endpoint)
        self._is_renewed = job.terms is not None
        self._traffic = traffic
        self._tell = tell
        self._users: list[Use] = []
        self._are_good = Event()
        self._end: Any = None
        self.wake: Callable[[], None] = lambda: None
        self.signing: Signing | None = None
        self._accept(job.terms or Terms(renewal=0, ends_at_s=None, trusted_until_s=0.0))

    def sign_by(self, function: Callable[..., Any]) -> None:
        """Sign each request by a function of the author's."""
        self.signing = Signing(function, self._endpoint)
        self.serve(self.signing.use)

    def serve(self, use: Use) -> None:
        """Give somebody who keeps credentials those of now, and those of each renewal from now on."""
        self._users.append(use)
        use(self._endpoint, self._renewal)

    @property
    def is_held(self) -> bool:
        """Whether requests wait for credentials."""
        return not self._are_good.is_set()

    def ready(self) -> Current:
        """Return the credentials to send with; the calling greenlet waits while there are none that are good."""
        self._are_good.wait()
        return self.newest()

    def without_waiting(self) -> CredentialSource:
        """Return the same for requests that wait for a permit: no permit is given while there are no credentials."""
        return _Newest(self)

    def newest(self) -> Current:
        """Return the credentials of the newest renewal, good or not."""
        return Current(self._endpoint, self._renewal)

    def is_outdated(self, renewal: int | None) -> bool:
        """Return whether a request that the API refused is worth repeating with newer credentials.

        If nobody knows yet whether there are any, the parent is asked, once for each renewal.
        """
        if renewal != self._renewal:
            return True
        if self.is_held:
            return True
        if not self._is_renewed or time.monotonic() < self._trusted_until_s:
            return False
        self._hold()
        self._tell(CredentialsRefused(self._renewal))
        return True

    def take(self, message: NewCredentials) -> None:
        """Send with other credentials from now on, or go on with the same ones, which are confirmed."""
        is_new = message.terms.renewal != self._renewal
        self._endpoint = settled(message.endpoint)
        self._traffic.release()
        self._accept(message.terms)
        if is_new:
            for use in self._users:
                use(self._endpoint, self._renewal)
        self.wake()

    def _accept(self, terms: Terms) -> None:
        self._renewal = terms.renewal
        self._trusted_until_s = terms.trusted_until_s
        self._are_good.set()
        if self._end is not None:
            self._end.kill(block=False)
        if terms.ends_at_s is None:
            return
        left_s = terms.ends_at_s - time.monotonic()
        if left_s > 0:
            self._end = gevent.spawn_later(left_s, self._hold)
        else:
            # Nothing is sent before the first ones that are good.
            self._hold()

    def _hold(self) -> None:
        self._are_good.clear()
        self._traffic.hold(time.monotonic())


class _Newest:
    """The newest credentials, for whoever waits by other means."""

    def __init__(self, access: EngineAccess) -> None:
        self.ready = access.newest
        self.is_outdated = access.is_outdated
