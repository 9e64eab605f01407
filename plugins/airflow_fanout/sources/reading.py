"""A list, read page by page to its end, and why that was the end."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

from airflow_fanout import codec
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.ratelimit import pause_s
from airflow_fanout.api.result import Part, PartMissing, shown
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.sources.asking import Asker, Received
from airflow_fanout.sources.audit import Audit
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.http_list import HttpList
from airflow_fanout.sources.links import parse
from airflow_fanout.sources.page import End, NotPaged, Page, Step
from airflow_fanout.sources.paging import PageNumber

log = logging.getLogger(__name__)

# 203 has gone through something that changed it, 206 is what some APIs call a page of a longer list.
PAGE = frozenset({200, 203, 206})
# RFC 9110, 14.4: from where to where of how many, in whatever unit.
_RANGE = re.compile(r"(\d+)-(\d+)/(\d+)$")


class Reading(Iterator[Json]):
    """Iterates over the items of a list, and knows how far it is.

    `pages` and `items` count what was read; `ended` says why there was no further page, and is `None` before that.
    """

    def __init__(
        self, source: HttpList, endpoint: Endpoint, *, names: Sequence[str], sleep: Callable[[float], None]
    ) -> None:
        self.pages = 0
        self.items = 0
        self.ended: str | None = None
        self._source = source
        self._endpoint = endpoint
        self._asker = Asker(source, endpoint, sleep)
        self._audit = Audit(source, names)
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
        _check_query(self._source)
        try:
            for page in self._read_pages():
                self._asker.now(f"taking in page {page.number}")
                for item in page.items:
                    self.items += 1
                    yield item
        finally:
            self._asker.close()

    def _read_pages(self) -> Iterator[Page]:
        pages = self._source.pages
        step: Step | End = Step(self._source.endpoint, {**self._source.query, **(pages.first() if pages else {})})
        while isinstance(step, Step):
            page = self._page(step)
            if isinstance(page, End):
                step = page
                break
            with self._about(page.number):
                self._audit.add(page)
            yield page
            step = self._following(page)
        with self._about(self.pages):
            self._audit.end()
        self.ended = step.reason
        log.info("Read %s items on %s page(s) of %s: %s.", self.items, self.pages, self._source, self.ended)

    def _page(self, step: Step) -> Page | End:
        number, pages = self.pages + 1, self._source.pages
        with self._about(number):
            self._audit.ask(number, step.address(self._endpoint))
        last = pages.end_statuses if isinstance(pages, PageNumber) and number > 1 else ()
        received = self._asker.ask(step.target, step.query, number=number, good=PAGE, last=last)
        if received.status in last:
            return End(f"page {number} is HTTP {received.status}")
        with self._about(number):
            items = self._items(received, number)
        if items is None:
            return End(f"page {number} is null")
        self.pages = number
        return Page(number=number, target=step.target, query=step.query, items=items, **received._asdict())

    def _items(self, received: Received, number: int) -> list[Json] | None:
        """Return a page's items; `None` for a null that is the end."""
        source, pages = self._source, self._source.pages
        try:
            items = Part(source.items).of(received.answer)
        except PartMissing as missing:
            path = urlsplit(received.address).path
            raise NotPaged(f"{missing} (HTTP {received.status} from {path})") from missing
        if isinstance(items, list):
            return items
        may_end = items is None and isinstance(pages, PageNumber) and number > 1
        if may_end and isinstance(pages, PageNumber) and pages.end_null:
            return None
        what = f"the field {shown(source.items)}" if source.items else "the answer"
        hint = "; if null is how the API says that there is no such page, write PageNumber(…, end_null=True)"
        raise NotPaged(f"{what} is of type {type(items).__name__}, not an array{hint if may_end else ''}")

    def _following(self, page: Page) -> Step | End:
        with self._about(page.number):
            following = self._source.pages.following(page) if self._source.pages else _single(page)
        if isinstance(following, End):
            return following
        asked_s = pause_s(page.headers, datetime.now(UTC)) or 0.0
        if 0 < asked_s <= self._source.retry.max_retry_after_s:
            self._asker.wait(asked_s, f"page {page.number} says that the API's quota is used up")
        # A link is a whole address: what the list's query says is in it already.
        query = {**self._source.query, **following.query} if following.query else {}
        return Step(following.target, query)

    @contextmanager
    def _about(self, number: int) -> Iterator[None]:
        try:
            yield
        except NotPaged as error:
            raise UnusableList(str(self._source), f"page {number}: {error}") from error


def _single(page: Page) -> End:
    """Return that a list without `pages` ends after its first page.

    :raises NotPaged: when the answer says itself that there is more.
    """
    links, _ = parse(page.headers.get("Link", ""))
    if any("next" in link.relations and link.anchor is None for link in links):
        raise NotPaged("its Link header names a next page, and the list has no `pages`: write pages=NextLink()")
    found = _RANGE.search(page.headers.get("Content-Range", ""))
    if found and int(found[2]) - int(found[1]) + 1 < int(found[3]):
        raise NotPaged(
            f"it has a part of the list only ({found[0]}, says its Content-Range), and the list has no `pages`"
        )
    if page.status == 206:
        log.warning("The answer is HTTP 206, a part of something; if it isn't the whole list, set `pages`.")
    return End("the list has one page, since it has no `pages`")


def _check_query(source: HttpList) -> None:
    try:
        codec.plain(dict(source.query))
    except codec.NotJson as error:
        raise BadSetting("query", sorted(map(str, source.query)), f"values that JSON can hold ({error})") from error
