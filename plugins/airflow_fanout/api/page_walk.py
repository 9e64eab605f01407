"""A walk over pages: given an answer, which request is the next one, or why there is none.

Pure: whoever sends the requests, in whatever way, asks here which one is next.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from urllib.parse import urlencode, urlsplit

from airflow_fanout.api.audit import Audit, Paged
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.links import parse
from airflow_fanout.api.page import Answer, End, NotPaged, Page, Step, pairs_of
from airflow_fanout.api.paging import Counted
from airflow_fanout.api.result import PartMissing, ResultPath, shown
from airflow_fanout.api.template import text_of
from airflow_fanout.codec import Json

log = logging.getLogger(__name__)

# RFC 9110, 14.4: from where to where of how many, in whatever unit.
_RANGE = re.compile(r"(\d+)-(\d+)/(\d+)$")


class PageWalk:
    """Where one walk is; its methods raise `NotPaged` if an answer isn't what `paged` says of it.

    :param paged: how the next page is found, and the bounds.
    :param first: the first request, without what `paged.pages` adds to its query.
    :param endpoint: where the requests go: whole addresses tell one page from another.
    :param names: the fields by which an item is known, if it has more.

    `number` is that of the page that is asked for, or at the end, that was read last; they are counted from 1.
    `address` is the whole address of the page that is asked for.
    """

    def __init__(self, paged: Paged, first: Step, endpoint: Endpoint, names: Sequence[str] = ()) -> None:
        self.number = 0
        self.address = ""
        self._paged = paged
        self._first = first
        self._endpoint = endpoint
        self._audit = Audit(paged, names)
        self._step = first

    @property
    def end_statuses(self) -> Collection[int]:
        """HTTP statuses which say that there is no such page as the one that is asked for."""
        pages = self._paged.pages
        return pages.end_statuses if isinstance(pages, Counted) and self.number > 1 else ()

    def begin(self) -> Step:
        """Return the first request."""
        pages = self._paged.pages
        counted = {pages.name: pages.start} if isinstance(pages, Counted) else {}
        return self._ask(Step(self._first.target, {**self._first.query, **counted}))

    def take(self, answer: Answer) -> Page | End:
        """Return the page that an answer to the last request is, or that there is none."""
        if answer.status in self.end_statuses:
            return self._end(End(f"page {self.number} is HTTP {answer.status}"), read=self.number - 1)
        items = self._items(answer)
        if items is None:
            return self._end(End(f"page {self.number} is null"), read=self.number - 1)
        target, query = self._step.target, self._step.query
        page = Page(number=self.number, items=items, target=target, query=query, **answer._asdict())
        self._audit.add(page)
        return page

    def following(self, page: Page) -> Step | End:
        """Return the request after a page, or why there is none."""
        following = self._paged.pages.following(page) if self._paged.pages else _single(page)
        if isinstance(following, End):
            return self._end(following, read=self.number)
        # A link is a whole address: what the first query says is in it already.
        query = {**self._first.query, **following.query} if following.query else {}
        return self._ask(following._replace(query=query))

    def _ask(self, step: Step) -> Step:
        self._step = step
        self.number += 1
        # The whole address tells one page from another, or the cursor in the body.
        address, pairs = self._endpoint.url(step.target), urlencode(pairs_of(step.query))
        self.address = f"{address}{'&' if '?' in address else '?'}{pairs}" if pairs else address
        in_body = "" if step.in_body is None else f" {text_of(step.in_body)}"
        self._audit.ask(self.number, self.address + in_body)
        return step

    @property
    def in_body(self) -> Json:
        """The cursor in the body of the request for the page that is asked for; `None` if there is none."""
        return self._step.in_body

    def _end(self, end: End, *, read: int) -> End:
        self.number = read
        self._audit.end()
        return end

    def _items(self, answer: Answer) -> list[Json] | None:
        """Return a page's items; `None` for a null that is the end."""
        path, pages = self._paged.items, self._paged.pages
        try:
            items = ResultPath(path).of(answer.answer)
        except PartMissing as missing:
            where = urlsplit(answer.address).path
            raise NotPaged(f"{missing} (HTTP {answer.status} from {where})") from missing
        if isinstance(items, list):
            return items
        may_end = items is None and isinstance(pages, Counted) and self.number > 1
        if may_end and isinstance(pages, Counted) and pages.end_null:
            return None
        what = f"the field {shown(path)}" if path else "the answer"
        kind = type(pages).__name__
        hint = f"; if null is how the API says that there is no such page, write {kind}(…, end_null=True)"
        raise NotPaged(f"{what} is of type {type(items).__name__}, not an array{hint if may_end else ''}")


def _single(page: Page) -> End:
    """Return that a list without `pages` ends after its first page.

    :raises NotPaged: when the answer says itself that there is more.
    """
    links, _ = parse(page.headers.get("Link", ""))
    if any("next" in link.relations and link.anchor is None for link in links):
        raise NotPaged("its Link header names a next page, and the list has no `pages`: write pages=NextLink()")
    part = _RANGE.search(page.headers.get("Content-Range", ""))
    if part and int(part[2]) - int(part[1]) + 1 < int(part[3]):
        raise NotPaged(
            f"it has a part of the list only ({part[0]}, says its Content-Range), and the list has no `pages`"
        )
    if page.status == 206:
        log.warning("The answer is HTTP 206, a part of something; if it isn't the whole list, set `pages`.")
    return End("the list has one page, since it has no `pages`")
