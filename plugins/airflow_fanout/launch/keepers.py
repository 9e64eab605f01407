"""The credentials of several connections: got side by side, and each kept good by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from operator import attrgetter

from msgspec.structs import replace

from airflow_fanout.errors import FanoutError
from airflow_fanout.launch.connection_errors import BadConnections
from airflow_fanout.launch.job import NONE_YET, Connected
from airflow_fanout.launch.keeper import Keeper, Renewing, message_of
from airflow_fanout.launch.messages import NewCredentials, NoCredentials

# How many token endpoints are asked at once, and for how long the fetch waits for them before it begins. Connections
# whose endpoint takes longer wait for it while the others are asked.
AT_ONCE, FIRST_S = 16, 10.0


class Keepers:
    """Keeps the credentials of several connections good.

    :param logins: get the credentials, by the ids of the connections.
    :param text: what gives a parameter's connection, for messages.
    :param first_s: how long the first credentials are waited for.
    """

    def __init__(self, logins: Mapping[str, Renewing], text: str, first_s: float = FIRST_S) -> None:
        self._logins = logins
        self._text = text
        self._first_s = first_s
        self._keepers = {conn_id: Keeper(login, conn_id) for conn_id, login in logins.items()}
        self._pending: set[str] = set()

    def first(self) -> dict[str, Connected]:
        """Get the first credentials of all connections.

        :raises BadConnections: if a token endpoint refuses; waiting doesn't help, and nothing was requested yet.
        """
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fanout-credentials")
        asked = {conn_id: pool.submit(attrgetter("current"), login) for conn_id, login in self._logins.items()}
        wait(asked.values(), self._first_s)
        pool.shutdown(wait=False, cancel_futures=True)
        connected: dict[str, Connected] = {}
        problems: list[str] = []
        for conn_id, answer in asked.items():
            error = answer.exception() if answer.done() and not answer.cancelled() else None
            if isinstance(error, FanoutError) and not error.retry:
                problems.append(str(error))
            elif error is not None and not isinstance(error, FanoutError):
                raise error
            elif answer.done() and not answer.cancelled() and error is None:
                credentials = message_of(answer.result())
                connected[conn_id] = Connected(endpoint=credentials.endpoint, terms=credentials.terms)
            else:
                self._pending.add(conn_id)
                endpoint = replace(self._logins[conn_id].connection, auth="bearer", password="", oauth2=None)
                connected[conn_id] = Connected(endpoint=endpoint, terms=NONE_YET)
        if problems:
            self.end()
            raise BadConnections(self._text, tuple(problems))
        return connected

    @contextmanager
    def renewing(self, send: Callable[[NewCredentials | NoCredentials], None]) -> Iterator[None]:
        """Keep the credentials good while the context lasts, each by a thread of its own if there is anything to do.

        :param send: sends the engine new ones, or says that there will be none; called in other threads.
        """
        for conn_id, keeper in self._keepers.items():
            keeper.begin(send, has_any=conn_id not in self._pending)
        try:
            yield
        finally:
            self.end()

    def end(self) -> None:
        """Keep them good no longer."""
        for keeper in self._keepers.values():
            keeper.end()

    def refused(self, renewal: int, conn_id: str) -> None:
        """Note that a request was refused; what is sent after that is the answer."""
        self._keepers[conn_id].refused(renewal)

    @property
    def failures(self) -> Mapping[str, BaseException]:
        """What keeps credentials from being renewed any further, by the ids of the connections."""
        return {conn_id: keeper.failure for conn_id, keeper in self._keepers.items() if keeper.failure is not None}
