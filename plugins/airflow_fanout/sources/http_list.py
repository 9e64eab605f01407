"""A list of parameters that an HTTP API gives, as the report's author describes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.page import FieldOrHeader, Query, check_field_or_header
from airflow_fanout.api.paging import Cursor, Pages, checked_pages
from airflow_fanout.api.result import Path, check_path
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.settings import MIB, Retry, Timeouts, check_whole
from airflow_fanout.sources.source import ListSource, Resource

if TYPE_CHECKING:
    from airflow_fanout.api.access import CredentialSource
    from airflow_fanout.sources.reading import Reading
    from airflow_fanout.sources.source import SourceContext, Turns


class HttpList(ListSource, frozen=True, kw_only=True):
    """A list of parameters that an HTTP API gives: a JSON array, or one under a field, in one page or in many.

    :param http_conn_id: the Airflow connection of the API.
    :param endpoint: the path below the connection's address.
    :param items: the dotted path of the array in the answer (a tuple where a name has a dot); the answer itself, if
        not given.
    :param query: the query string's values, written as in a `Request`; Airflow templates.
    :param pages: how the next page is found; one page, if not given.
    :param total: where the number of all items stands, a dotted path or a `Header`; as many must have been read.
    :param retry: when a page is asked for again.
    :param timeouts: how long one try of one page may take.
    :param max_page_bytes: the largest page, after decompression.
    :param max_empty_pages: how many pages in a row may bring no item, or only the items of pages before them.
    :param max_pages: how many pages the list may have.
    :param sign: a function of any of `method`, `url`, `headers`, `body`, `login`, `password` that returns headers, such
        as a signature, for each request to the connection's own address.
    """

    http_conn_id: str
    endpoint: str
    items: Path | None = None
    query: Query = {}  # noqa: RUF012 - msgspec gives each its own
    pages: Pages | None = None
    total: FieldOrHeader | None = None
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    max_page_bytes: int = 16 * MIB
    max_empty_pages: int = 20
    max_pages: int = 100_000
    sign: Callable[..., Mapping[str, str]] | None = None

    def __post_init__(self) -> None:
        self._check_connection()
        if self.pages is not None:
            self._check_pages(self.pages)
        if not isinstance(self.query, Mapping):
            raise BadSetting("query", self.query, "a dict of the query's names and values")
        if self.items is not None:
            check_path("items", self.items)
        if self.total is not None:
            check_field_or_header("total", self.total)
        for name, kind in (("retry", Retry), ("timeouts", Timeouts)):
            if not isinstance(getattr(self, name), kind):
                raise BadSetting(name, getattr(self, name), f"{kind.__name__}(…)")
        self._check_sign()
        for name in ("max_page_bytes", "max_empty_pages", "max_pages"):
            check_whole(name, getattr(self, name))

    def _check_connection(self) -> None:
        """Refuse a text that would name a connection for each parameter, as a fetch may have it."""
        if "{" in str(self.http_conn_id):
            expected = "the id of one connection: a list that is still to be read has no parameters that could name it"
            raise BadSetting("http_conn_id", self.http_conn_id, expected)

    def _check_pages(self, pages: object) -> None:
        checked = checked_pages("pages", pages)
        if isinstance(checked, Cursor) and checked.in_body is not None:
            raise BadSetting("Cursor.in_body", checked.in_body, "nothing: a list is asked for by GET, without a body")

    def _check_sign(self) -> None:
        if self.sign is not None:
            # A DAG file whose lists aren't signed doesn't load it.
            from airflow_fanout.api.signing import check_sign

            check_sign(self.sign)

    def __str__(self) -> str:
        return f"the HTTP list {self.endpoint} ({self.http_conn_id})"

    @property
    def templates(self) -> Sequence[Any]:
        """The values in which templates are rendered when the list is read."""
        return (self.endpoint, dict(self.query))

    def dataset(self) -> Resource:
        """Return the API's list that is read."""
        return Resource(self.http_conn_id, self.endpoint)

    def check(self, access: SourceContext, *, names: Sequence[str]) -> None:  # noqa: ARG002 - the list is asked later
        """Look whether the connection can be used; raise `BadConnection` if not."""
        access.login(self.http_conn_id)

    def open(self, access: SourceContext, *, names: Sequence[str]) -> Reading:
        """Return the items of all pages, of which none is read yet; see `read`."""
        rendered = self.rendered(access.render)
        # A DAG file that only names a list doesn't load what sends requests.
        from airflow_fanout.api.access import OwnCredentials

        login = access.login(rendered.http_conn_id)
        turns = access.turns(rendered.http_conn_id)
        return rendered.read(login.current.endpoint, names=names, access=OwnCredentials(login), turns=turns)

    def rendered(self, render: Callable[[Any], Any]) -> HttpList:
        """Return the list with its templates rendered."""
        return replace(self, endpoint=render(self.endpoint), query=render(dict(self.query)))

    def read(
        self,
        endpoint: Endpoint,
        *,
        names: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
        access: CredentialSource | None = None,
        turns: Turns | None = None,
    ) -> Reading:
        """Return an iterator over the items of all pages, as they come.

        :param names: the fields by which an item is known, if it has more: two pages that differ in others only
            bring the same items.
        :param sleep: waits for some seconds.
        :param access: gives the credentials of each request; those of the endpoint, if not given.
        :param turns: lets each request through; all at once, if not given.

        While it is iterated over, it raises `BadSource` if a page can't be read at this time, and `UnusableList`
        if the list isn't what this says of it.
        """
        # A DAG file that only names a list doesn't load requests.
        from airflow_fanout.sources.reading import Reading

        return Reading(self, endpoint, names=names, sleep=sleep, access=access, turns=turns)
