"""Where the parameter list comes from, besides an author's own callable: an HTTP API's list, page by page."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.endpoint import Endpoint
from airflow_fanout.errors import BadSource
from airflow_fanout.result import Part, PartMissing
from airflow_fanout.retry import Again, Budget, decide
from airflow_fanout.settings import FetchSettings, Retry

if TYPE_CHECKING:
    # DAG files import this module; requests is imported when the list is read.
    import requests

    from airflow_fanout.outcome import Outcome

Query = Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class NextLink:
    """Each page has the address of the next one: in a field of the answer, or in its `Link` header (RFC 8288).

    :param field: the dotted path of the field; the header, if not given.
    """

    field: str | None = None

    def first(self) -> Query:
        """Return what the first page's query has besides the list's own."""
        return {}

    def following(self, page: Page) -> tuple[str, Query] | None:
        """Return the next page's target and additional query; `None` after the last."""
        link = page.field(self.field) if self.field else page.link
        if not link:
            return None
        if not isinstance(link, str):
            raise TypeError(f"{self.field} is of type {type(link).__name__}, not an address")
        # RFC 3986, 5.2: a link is relative to the address of what it stands in.
        return urljoin(page.address, link), {}


@dataclass(frozen=True, kw_only=True)
class PageNumber:
    """Pages are counted in the query; the first page without items is the end.

    :param name: the query's name for the number.
    :param start: the first page's number.
    """

    name: str = "page"
    start: int = 1

    def first(self) -> Query:
        """Return what the first page's query has besides the list's own."""
        return {self.name: self.start}

    def following(self, page: Page) -> tuple[str, Query] | None:
        """Return the next page's target and additional query; `None` after the last."""
        return (page.target, {self.name: page.query[self.name] + 1}) if page.items else None


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """Each page tells the cursor of the next one; null, empty or absent is the end.

    :param name: the query's name for the cursor.
    :param field: the dotted path of the cursor in the answer.
    """

    name: str = "cursor"
    field: str = "cursor"

    def first(self) -> Query:
        """Return what the first page's query has besides the list's own."""
        return {}

    def following(self, page: Page) -> tuple[str, Query] | None:
        """Return the next page's target and additional query; `None` after the last."""
        cursor = page.field(self.field)
        return (page.target, {self.name: cursor}) if cursor else None


@dataclass(frozen=True)
class Page:
    """One page of a list as it was received."""

    target: str
    address: str
    query: Query
    answer: Json
    items: list[Json]
    link: str | None

    def field(self, path: str) -> Any:
        """Return a field of the answer; `None` if it isn't there."""
        try:
            return Part(path).of(self.answer)
        except PartMissing:
            return None


@dataclass(frozen=True, kw_only=True)
class HttpList:
    """A list of parameters that an HTTP API gives: a JSON array, or one under a field, in one page or in many.

    :param http_conn_id: the Airflow connection of the API.
    :param endpoint: the path below the connection's address.
    :param items: the dotted path of the array in the answer; the answer itself, if not given.
    :param query: the query string's values; Airflow templates.
    :param pages: how the next page is found; one page, if not given.
    :param retry: when a page is asked for again.
    """

    http_conn_id: str
    endpoint: str
    items: str | None = None
    query: Query = field(default_factory=dict)
    pages: NextLink | PageNumber | Cursor | None = None
    retry: Retry = field(default_factory=Retry)

    def __str__(self) -> str:
        return f"the HTTP list {self.endpoint} ({self.http_conn_id})"

    def rendered(self, render: Callable[[Any], Any]) -> HttpList:
        """Return the list with its templates rendered."""
        return replace(self, endpoint=render(self.endpoint), query=render(dict(self.query)))

    def read(self, endpoint: Endpoint, sleep: Callable[[float], None] = time.sleep) -> Iterator[Json]:
        """Yield the items of all pages, as they come.

        :raises BadSource: when a page can't be had, isn't JSON, has no such array, or was there before.
        """
        from airflow_fanout.session import FanoutSession

        with FanoutSession(endpoint, FetchSettings(concurrency=1)) as session:
            reader = _Reader(self, session, sleep)
            for page in reader.read_all():
                yield from page.items


class _Reader:
    """Reads one list's pages, one after the other."""

    def __init__(self, source: HttpList, session: requests.Session, sleep: Callable[[float], None]) -> None:
        self._source = source
        self._session = session
        self._sleep = sleep
        self._seen: set[tuple[str, bytes]] = set()

    def read_all(self) -> Iterator[Page]:
        pages = self._source.pages
        following: tuple[str, Query] | None = (self._source.endpoint, pages.first() if pages else {})
        query = dict(self._source.query)
        before: list[Json] = []
        while following:
            target, more = following
            # A link is a whole address: what the query said is in it already.
            query = {**query, **more} if more or not self._seen else {}
            page = self._page(target, query)
            if isinstance(pages, PageNumber) and page.items and page.items == before:
                # Some servers answer every number beyond the last page with the last page.
                raise self._error(f"page {query[pages.name]} is the same as the one before it; look at `pages`")
            yield page
            before, following = page.items, self._following(page)

    def _following(self, page: Page) -> tuple[str, Query] | None:
        try:
            return self._source.pages.following(page) if self._source.pages else None
        except (TypeError, ValueError) as error:
            raise self._error(f"the next page's address can't be read: {error}") from error

    def _page(self, target: str, query: Query) -> Page:
        if (identity := (target, codec.canonical(dict(query)))) in self._seen:
            raise self._error(f"the page {target} is its own successor; look at `pages`")
        self._seen.add(identity)
        response = self._get(target, query)
        try:
            answer = codec.decode(response.content)
            items = Part(self._source.items).of(answer)
        except (codec.NotJson, PartMissing) as error:
            raise self._error(f"{error} (HTTP {response.status_code} from {urlsplit(response.url).path})") from error
        if not isinstance(items, list):
            raise self._error(f"{self._source.items or 'the answer'} is of type {type(items).__name__}, not an array")
        link = response.links.get("next", {}).get("url")
        return Page(target, response.url, query, answer, items, link)

    def _get(self, target: str, query: Query) -> requests.Response:
        attempt, budget = 1, Budget(1.0)
        while True:
            got = self._try(target, query)
            if not isinstance(got, tuple):
                return got
            outcome, error = got
            policy = self._source.retry
            decision = decide(
                outcome, attempt=attempt, policy=policy, repeatable=True, budget=budget, uniform=random.uniform
            )
            if not isinstance(decision, Again):
                failure = outcome.failure
                raise self._error(
                    f"{failure.message if failure else outcome.kind} after {attempt} attempt(s)"
                ) from error
            self._sleep(decision.wait_s)
            attempt += 1

    def _try(self, target: str, query: Query) -> requests.Response | tuple[Outcome, Exception | None]:
        import requests

        from airflow_fanout.failures import outcome_of, outcome_of_status

        try:
            response = self._session.get(target, params=dict(query))
        except requests.RequestException as error:
            return outcome_of(error), error
        return response if response.status_code == requests.codes.ok else (outcome_of_status(response), None)

    def _error(self, problem: str) -> BadSource:
        return BadSource(str(self._source), problem)
