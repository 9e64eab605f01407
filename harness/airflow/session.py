"""How Airflow's REST interface is asked: logged in, page by page, and again until something is there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Self, TypeVar

import requests

from harness.airflow.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json = dict[str, Any]
Found = TypeVar("Found")

# The longer the wait, the longer between two looks: each costs the server some milliseconds.
POLL_S, SELDOM_S, SLOWING = 0.2, 1.0, 20
# On a machine with nothing else to do an answer takes a second or two; what takes this long is stuck.
PATIENCE_S = 300.0
# Airflow answers at most this many rows at once.
PAGE = 100
# Longer than a writer may wait for the metadata database.
REQUEST_TIMEOUT_S = 60.0

_JSON = {"Accept": "application/json"}


class Session:
    """A session with Airflow's REST interface, nobody's until logged in; a refusal is a RequestRefused.

    ``check`` is called while a method waits; what it raises ends the waiting.
    """

    def __init__(self, url: str, *, check: Callable[[], None] = lambda: None) -> None:
        self.url = url
        self._check = check
        self._session = requests.Session()
        # The environment may name a proxy, or a netrc entry that would replace the token.
        self._session.trust_env = False

    def log_in(self, user: str, password: str) -> Self:
        """Exchange a name and a password for a token, which is good for a day."""
        token = self.request("POST", "/auth/token", json={"username": user, "password": password})
        self._session.headers["Authorization"] = f"Bearer {token['access_token']}"
        return self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def close(self) -> None:
        """Close the connections; a closed client opens new ones if it is used again."""
        self._session.close()

    def request(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, json: Json | None = None
    ) -> Json:
        """Send one request to a path of the server and return its JSON object, empty for no content."""
        answer = self._session.request(
            method, self.url + path, params=params, json=json, timeout=REQUEST_TIMEOUT_S, headers=_JSON
        )
        if not answer.ok:
            raise RequestRefused(method, path, answer.status_code, answer.text)
        body: Json = answer.json() if answer.content else {}
        return body

    def _pages(self, path: str, key: str, **params: Any) -> Iterator[Json]:
        offset = 0
        while True:
            page = self.request("GET", path, params={**params, "limit": PAGE, "offset": offset})
            yield from page[key]
            offset += PAGE
            if offset >= page["total_entries"]:
                return

    def _wait(self, look: Callable[[], Found | None], timeout_s: float, late: Callable[[], Exception]) -> Found:
        begun = time.monotonic()
        while (found := look()) is None:
            self._check()
            waited_s = time.monotonic() - begun
            if waited_s > timeout_s:
                raise late()
            time.sleep(min(POLL_S + waited_s / SLOWING, SELDOM_S))
        return found
