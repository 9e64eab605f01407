"""Keeps the credentials of a fetch good: a thread of the task's that renews them, and sends them to the engines."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.launch.job import Terms
from airflow_fanout.launch.messages import NewCredentials, NoCredentials

# A thread can't wait for longer than this at once; it is more than any fetch takes.
LONGEST_WAIT_S = 86_400.0


class Issued(Protocol):
    """Credentials, from one renewal to the next; see `api.login.Credentials`."""

    @property
    def renewal(self) -> int:
        """The number of the renewal."""

    @property
    def endpoint(self) -> Endpoint:
        """The connection with its credentials."""

    @property
    def renew_at_s(self) -> float:
        """When they are to be renewed, on the monotonic clock."""

    @property
    def ends_at_s(self) -> float:
        """When they are good no longer."""

    @property
    def trusted_until_s(self) -> float:
        """Until when a 401 is the request's own."""


class Renewing(Protocol):
    """What gets credentials; see `api.login.Login`."""

    @property
    def connection(self) -> Endpoint:
        """The connection, whose credentials may still have to be got."""

    @property
    def current(self) -> Issued:
        """The newest credentials."""

    def valid(self) -> Issued:
        """Return credentials that are good now."""

    def after_refusal(self, renewal: int) -> Issued:
        """Return the credentials after a request with those of this renewal was refused."""

    def close(self) -> None:
        """Wait no longer for a token: nobody needs one."""


def message_of(credentials: Issued, connection: str = "") -> NewCredentials:
    """Return what an engine hears of credentials.

    :param connection: what it knows them by, if there are several.
    """
    terms = Terms(
        renewal=credentials.renewal,
        ends_at_s=None if math.isinf(credentials.ends_at_s) else credentials.ends_at_s,
        trusted_until_s=credentials.trusted_until_s,
    )
    return NewCredentials(credentials.endpoint, terms, connection)


class Keeper:
    """Renews the credentials before they end, and when an engine says that they were refused.

    A renewal may take as long as the token endpoint is down; meanwhile the engines send with what they have, while that
    is good, and then wait. `failure` is what keeps this from renewing any further.

    :param login: gets the credentials.
    :param connection: what the engines know them by, if there are several.
    """

    def __init__(self, login: Renewing, connection: str = "") -> None:
        self._login = login
        self._connection = connection
        self._changed = threading.Condition()
        self._refused: int | None = None
        self._is_over = False
        self._send: Callable[[NewCredentials | NoCredentials], None] = lambda _message: None
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    @contextmanager
    def renewing(self, send: Callable[[NewCredentials | NoCredentials], None]) -> Iterator[None]:
        """Keep the credentials good while the context lasts.

        :param send: sends the engines new ones, or those that they have as confirmed; called in another thread.
        """
        self.begin(send)
        try:
            yield
        finally:
            self.end()

    def begin(self, send: Callable[[NewCredentials | NoCredentials], None], *, has_any: bool = True) -> None:
        """Keep the credentials good from now on, by a thread as soon as there is anything to do.

        :param has_any: whether the engines have credentials already; if not, the first ones are sent to them.
        """
        self._send = send
        if not has_any or not math.isinf(self._login.current.renew_at_s):
            self._start(has_any=has_any)

    def end(self) -> None:
        """Keep them good no longer."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._login.close()

    def refused(self, renewal: int) -> None:
        """Note that an engine's request was refused; what is sent after that is the answer.

        :param renewal: the number of the renewal whose credentials it was sent with.
        """
        with self._changed:
            self._refused = max(renewal, self._refused or 0)
            self._changed.notify()
        self._start(has_any=True)

    def _start(self, *, has_any: bool) -> None:
        if self._thread is None:
            name = f"fanout-credentials {self._connection}".rstrip()
            self._thread = threading.Thread(target=self._run, args=(has_any,), name=name, daemon=True)
            self._thread.start()

    def _run(self, has_any: bool) -> None:  # noqa: FBT001 - a thread's arguments
        try:
            if not has_any:
                self._send(message_of(self._login.current, self._connection))
            while self._wait():
                with self._changed:
                    refused, self._refused = self._refused, None
                before = self._login.current
                credentials = self._login.valid() if refused is None else self._login.after_refusal(refused)
                if refused is not None or credentials != before:
                    self._send(message_of(credentials, self._connection))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the task raises it, and not this thread
            self.failure = error
            if self._connection and not self._is_over:
                self._send(NoCredentials(self._connection))

    def _wait(self) -> bool:
        """Wait until there is something to do; return whether there is."""
        renew_at_s = self._login.current.renew_at_s
        with self._changed:
            while not self._is_over and self._refused is None:
                left_s = renew_at_s - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(min(left_s, LONGEST_WAIT_S))
            return not self._is_over
