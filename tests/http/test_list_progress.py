"""How extract tells how far it is, without an Airflow: a list for the log, a list for the state store."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_fanout.adapters.list_progress import ListProgress
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.paging import NextLink
from airflow_fanout.sources.function import FunctionItems
from tests.http.lists import listing, numbered
from tests.http.servers import Connection, Seen, Server, as_json, until

if TYPE_CHECKING:
    import pytest

LOG = logging.getLogger("test_list_progress")


class Kept:
    """A store that forgets nothing."""

    def __init__(self, stored: list[dict[str, Any]]) -> None:
        self._stored = stored

    def put(self, progress: Mapping[str, Any]) -> None:
        """Keep one more."""
        self._stored.append(dict(progress))


def progress_of(items: Any, stored: list[dict[str, Any]]) -> ListProgress:
    """Return the progress of items that logs twenty times a second."""
    return ListProgress(items, store=Kept(stored), log=LOG, logged_each_s=0.05)


def test_a_page_that_is_waited_for_is_told_while_it_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """The log gets a line every few seconds, with the items, the pages, and what is waited for since when."""
    go_on = threading.Event()

    def handle(seen: Seen, _: Connection) -> bytes:
        if seen.path == "/list":
            return as_json({"items": [1, 2], "next": "/2"})
        go_on.wait(20)
        return as_json({"items": [3]})

    with Server(handle) as server, caplog.at_level(logging.INFO, LOG.name):
        reading = listing(pages=NextLink(field="next")).read(Endpoint(base_url=server.origin))
        with progress_of(reading, []) as progress:
            words = "2 items on 1 page(s) so far, 0/s; asking for page 2 (attempt 1 of 3, at most 60 s), for "
            threading.Thread(target=lambda: (until(lambda: words in caplog.text, 20), go_on.set())).start()
            assert list(progress) == [1, 2, 3]
    assert words in caplog.text
    assert progress.ending() == {"items": 3, "pages": 2, "ended": "page 2 doesn't have the field 'next'"}


def test_a_source_that_gives_nothing_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """A function that is slow is waited for in the log, too."""

    def slow() -> Any:
        yield 1
        until(lambda: "1 items so far, 0/s; waiting for the source, for " in caplog.text, 20)
        yield 2

    with caplog.at_level(logging.INFO, LOG.name), progress_of(FunctionItems(slow()), []) as progress:
        assert list(progress) == [1, 2]
    assert "waiting for the source" in caplog.text
    assert progress.ending() == {}


def test_the_progress_is_stored_as_the_items_come() -> None:
    """At most once a second, by whoever takes the items."""
    stored: list[dict[str, Any]] = []

    def source() -> Any:
        for item in itertools.count():
            yield item
            time.sleep(0.01)
            if stored:
                return

    with progress_of(FunctionItems(source()), stored) as progress:
        count = len(list(progress))
    assert [told["items"] for told in stored] == [count]
    assert count > 1
    assert set(stored[0]) == {"items", "seconds", "rate_per_s"}


def test_a_list_that_is_cut_by_a_limit_says_so() -> None:
    """Its later pages aren't asked for, and its connections are closed."""
    with numbered(lambda number: {"items": [number], "next": f"/{number + 1}"}) as server:
        reading = listing(pages=NextLink(field="next")).read(Endpoint(base_url=server.origin))
        with progress_of(reading, []) as progress:
            items = iter(progress)
            assert [next(items), next(items)] == [1, 2]
    assert progress.ending()["ended"] == "the run's limit was reached; the rest of the list wasn't asked for"
    assert len(server.seen) == 2
