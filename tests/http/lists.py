"""Lists as the tests read them: of a connection that nobody looks up, without waiting between attempts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.codec import Json
from airflow_fanout.model.settings import Retry
from airflow_fanout.sources.errors import BadSource
from airflow_fanout.sources.http_list import HttpList
from tests.http.servers import Connection, Seen, Server, as_json

QUICK = Retry(max_attempts=3, initial_delay_s=0.0)


def listing(endpoint: str = "/list", **options: Any) -> HttpList:
    """Return a list of a connection that tests don't look up."""
    return HttpList(http_conn_id="api", endpoint=endpoint, **{"retry": QUICK, "items": "items", **options})


def read(source: HttpList, url: str, **options: Any) -> list[Json]:
    """Read all of a list."""
    return list(source.read(Endpoint(base_url=url), **{"sleep": lambda _: None, **options}))


def refused(source: HttpList, url: str, kind: type[BadSource] = BadSource) -> str:
    """Return the words with which a list is refused."""
    with pytest.raises(BadSource) as caught:
        read(source, url)
    assert isinstance(caught.value, kind), caught.value
    return caught.value.problem


def numbered(page: Callable[[int], object]) -> Server:
    """Return a server whose page N is at /N, or where the query ends in N; anything else is the first page.

    A page is bytes, which are sent as they are, or a value, which is sent as JSON.
    """

    def handle(seen: Seen, _: Connection) -> bytes:
        last = re.split("[=/]", seen.target)[-1]
        answered = page(int(last) if last.isdigit() else 1)
        return answered if isinstance(answered, bytes) else as_json(answered)

    return Server(handle)


def in_pages(*pages: object) -> Server:
    """Return a server with so many pages; after them, it repeats the last one."""
    return numbered(lambda number: pages[min(number, len(pages)) - 1])
