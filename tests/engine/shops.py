"""Shops for tests: one server, where each shop is a path with credentials of its own, and a fetch from all of them."""

from __future__ import annotations

import base64
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.login import ApiLogin
from airflow_fanout.api.request import Request
from airflow_fanout.launch.connections import connected_by
from airflow_fanout.launch.fetch import Fetch
from airflow_fanout.launch.keepers import FIRST_S
from airflow_fanout.launch.plan import Shard
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import read_manifest
from airflow_fanout.staging.journal import read_records
from tests.engine.harness import frozen, job, journal
from tests.engine.tokens import login
from tests.http.servers import Connection, Seen, Server, as_json

if TYPE_CHECKING:
    from airflow_fanout.launch.messages import FetchMessage
    from airflow_fanout.model.outcome import Record
    from airflow_fanout.model.progress import Progress

STOCK = Request(endpoint="/stock/{item}", result="left")


def password(shop: str) -> str:
    """Return the password of a shop."""
    return f"opens {shop} only"


def shop_of(seen: Seen) -> str:
    """Return the shop that a request is for."""
    return seen.path.split("/")[1]


def is_right(seen: Seen) -> bool:
    """Return whether a request has the credentials of its shop."""
    shop = shop_of(seen)
    expected = base64.b64encode(f"user of {shop}:{password(shop)}".encode()).decode()
    return seen.headers.get("authorization") == f"Basic {expected}"


# What a shop answers instead of its stock; `None` if it has nothing to say against it.
Trouble = Callable[[Seen, Connection], bytes | None]


@dataclass
class Shops:
    """A server of shops.

    :param total: how many good answers there will be from the shops without trouble; `rest_is_done` is set then.
    :param troubles: what shops do instead, by their ids.
    """

    total: int = 0
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)
    under_way: Counter[str] = field(default_factory=Counter)
    most_under_way: Counter[str] = field(default_factory=Counter)
    rest_is_done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, seen: Seen, connection: Connection) -> bytes:
        """Answer a request."""
        shop = shop_of(seen)
        with self._lock:
            for name in (shop, "all"):
                self.under_way[name] += 1
                self.most_under_way[name] = max(self.most_under_way[name], self.under_way[name])
        try:
            return self._answer(shop, seen, connection)
        finally:
            with self._lock:
                self.under_way[shop] -= 1
                self.under_way["all"] -= 1

    def _answer(self, shop: str, seen: Seen, connection: Connection) -> bytes:
        if not is_right(seen):
            return as_json({}, "401 Unauthorized")
        trouble = self.troubles.get(shop)
        if trouble is not None and (instead := trouble(seen, connection)) is not None:
            return instead
        with self._lock:
            self.answered[shop] += 1
            if trouble is None and sum(self.answered[name] for name in self.answered if name not in self.troubles) == (
                self.total
            ):
                self.rest_is_done.set()
        return as_json({"left": int(seen.path.rpartition("/")[2])})

    def endpoints(self, server: Server, names: Iterable[str]) -> dict[str, Endpoint]:
        """Return the connections of shops."""
        return {
            name: Endpoint(base_url=f"{server.origin}/{name}", login=f"user of {name}", password=password(name))
            for name in names
        }


def fetched(
    folder: Path,
    asked: Request | Callable[..., Any],
    logins: Mapping[str, Endpoint | ApiLogin],
    parameters: Iterable[tuple[str, int]],
    how: FetchSettings,
    *,
    hear: Callable[[FetchMessage], None] = lambda _message: None,
    directory: ListDirectory | None = None,
    first_s: float = FIRST_S,
) -> tuple[Progress, list[Record]]:
    """Fetch pairs of a shop and an item by the shop's own connection; return the last progress and the records."""
    directory = directory or frozen(folder, list(parameters), ("shop", "item"))
    part = Shard.of(directory, read_manifest(directory), None)
    by_id = {name: login(each) if isinstance(each, Endpoint) else each for name, each in logins.items()}
    todo = job(directory, asked, next(iter(by_id.values())).connection, replace(how, processes=1))
    todo = connected_by(todo, "{shop}", {name: each.connection for name, each in by_id.items()})
    progress = Fetch(part, todo, hear, logins=by_id, first_s=first_s).run("")
    return progress, list(read_records(journal(directory)))
