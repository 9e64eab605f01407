"""The secrets of all connections of a fetch, taken out of what its engines say."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import chain

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.privacy.redaction import MOST_RECENT, Secrets


class _Recent:
    """The last few secrets of one connection."""

    def __init__(self, always: tuple[str, ...]) -> None:
        self._always = always
        self._recent: deque[tuple[str, ...]] = deque(maxlen=MOST_RECENT)
        self.secrets = Secrets(always)

    def add(self, values: Iterable[str]) -> None:
        self._recent.append(tuple(values))
        self.secrets = Secrets(self.values)

    @property
    def values(self) -> tuple[str, ...]:
        return tuple(chain(self._always, *self._recent))


class SecretsOfSeveral:
    """Secrets by connection, the last few of each.

    A renewal replaces those of its own connection only: reading them all again for each of 200 connections would cost
    more than the requests do.

    :param endpoints: the connections, by their ids.
    :param hidden: what else may stand in no message.
    """

    def __init__(self, endpoints: Mapping[str, Endpoint], *, hidden: tuple[str, ...]) -> None:
        self._by_connection: dict[str, _Recent] = {}
        for conn_id, endpoint in endpoints.items():
            self._by_connection[conn_id] = _Recent(hidden)
            self.add(conn_id, endpoint.secrets)

    def __repr__(self) -> str:
        return "SecretsOfSeveral(…)"

    def add(self, conn_id: str, values: Iterable[str]) -> None:
        """Hide those that come next for a connection, too."""
        self._by_connection[conn_id].add(values)

    def hide(self, text: str) -> str:
        """Return a text in which each of the secrets is replaced."""
        occurring = [recent for recent in self._by_connection.values() if recent.secrets.hide(text) != text]
        if len(occurring) <= 1:
            return occurring[0].secrets.hide(text) if occurring else text
        # Together, so that of two secrets that begin alike the longer one is replaced first.
        return Secrets(chain.from_iterable(recent.values for recent in occurring)).hide(text)
