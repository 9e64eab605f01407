"""A list, read page by page to its end, and why that was the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from airflow_fanout import codec
from airflow_fanout.api.access import CredentialSource
from airflow_fanout.api.audit import Paged
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.page import End, NotPaged, Page, Step
from airflow_fanout.api.page_walk import PageWalk
from airflow_fanout.api.ratelimit import pause_s
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.sources.asking import Asker
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.http_list import HttpList
from airflow_fanout.sources.source import Turns

log = logging.getLogger(__name__)


class Reading(Iterator[Json]):
    """Iterates over the items of a list, and knows how far it is.

    `pages` and `items` count what was read; `ended` says why there was no further page, and is `None` before that.
    """

    def __init__(
        self,
        source: HttpList,
        endpoint: Endpoint,
        *,
        names: Sequence[str],
        sleep: Callable[[float], None],
        access: CredentialSource | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.pages = 0
        self.items = 0
        self.ended: str | None = None
        self._source = source
        self._asker = Asker(source, endpoint, sleep, access, turns)
        paged = Paged(source.pages, source.items, source.total, source.max_pages, source.max_empty_pages)
        self._walk = PageWalk(paged, Step(source.endpoint, source.query), endpoint, names)
        self._iterator = self._read()

    def __next__(self) -> Json:
        return next(self._iterator)

    @property
    def doing(self) -> tuple[str, float]:
        """What is being waited for, and since when on the monotonic clock."""
        return self._asker.doing, self._asker.since

    def close(self) -> None:
        """Close the connections; no further page is asked for."""
        self._iterator.close()
        self._asker.close()

    def _read(self) -> Generator[Json]:
        query = self._source.query
        try:
            codec.plain(dict(query))
        except codec.NotJson as error:
            raise BadSetting("query", sorted(map(str, query)), f"values that JSON can hold ({error})") from error
        try:
            for page in self._read_pages():
                self._asker.now(f"taking in page {page.number}")
                for item in page.items:
                    self.items += 1
                    yield item
        finally:
            self._asker.close()

    def _read_pages(self) -> Iterator[Page]:
        walk = self._walk
        step: Step | End = walk.begin()
        while isinstance(step, Step):
            answer = self._asker.ask(step, number=walk.number, last=walk.end_statuses)
            with self._about_page():
                page = walk.take(answer)
            if isinstance(page, End):
                step = page
                break
            self.pages = page.number
            yield page
            with self._about_page():
                step = walk.following(page)
            asked_s = pause_s(page.headers, datetime.now(UTC)) or 0.0
            if isinstance(step, Step) and 0 < asked_s <= self._source.retry.max_retry_after_s:
                self._asker.wait(asked_s, f"page {page.number} says that the API's quota is used up")
        self.ended = step.reason
        log.info("Read %s items on %s page(s) of %s: %s.", self.items, self.pages, self._source, self.ended)

    @contextmanager
    def _about_page(self) -> Iterator[None]:
        try:
            yield
        except NotPaged as error:
            raise UnusableList(str(self._source), f"page {self._walk.number}: {error}") from error
