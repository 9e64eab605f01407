"""All pages of one parameter: each is a request, and their items, in order, are one result."""

from __future__ import annotations

from http import HTTPStatus

from msgspec.structs import replace

from airflow_fanout.api.address import BadAddress, origin_of
from airflow_fanout.api.audit import Paged
from airflow_fanout.api.body_cursor import with_cursor
from airflow_fanout.api.compiled import Compiled, Prepared
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.page import Answer, End, NotPaged, Step
from airflow_fanout.api.page_walk import PageWalk
from airflow_fanout.api.paging import Counted, Cursor
from airflow_fanout.api.request import Request
from airflow_fanout.api.result import PartMissing, ResultPath
from airflow_fanout.api.settled import own_origin
from airflow_fanout.codec import Json
from airflow_fanout.engine.libcurl.address import in_ascii
from airflow_fanout.engine.steps import More, RawAnswer
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.privacy.redaction import Secrets


class PagedRequest:
    """What is the same for all parameters of a request with `pages`.

    :param compiled: what is sent for a parameter.
    :param max_body_bytes: the most bytes that an answer may have once it is decompressed.
    :param secrets: what is taken out of the messages of the author's exceptions.
    """

    def __init__(
        self, request: Request, endpoint: Endpoint, compiled: Compiled, max_body_bytes: int, secrets: Secrets
    ) -> None:
        self.endpoint = replace(endpoint, base_url=in_ascii(endpoint.base_url))
        self.origin = own_origin(self.endpoint.base_url)
        self.paged = Paged(request.pages, request.result, request.total, request.max_pages, request.max_empty_pages)
        self.items = ResultPath(request.result)
        self.empty_is_null = request.empty_is_null
        self.null_statuses = frozenset({HTTPStatus.NO_CONTENT, *request.null_statuses})
        self.is_repeatable = request.is_repeatable
        # What is the result of all pages is said when all of them are there.
        self.reader = reader_of(replace(request, result=None, empty_is_null=False), max_body_bytes, secrets)
        self._compiled = compiled

    def begin(self, task: Task) -> PageSteps:
        """Return the steps of a task, before its first page.

        :raises ValueError: when the parameter's value can't stand where the request puts it.
        """
        return PageSteps(self, self._compiled.message(task.parameter))


class PageSteps:
    """The pages of one parameter, as far as they were read.

    :param rules: what is the same for all parameters.
    :param first: the request for the first page, without what `pages` adds to its query.
    """

    def __init__(self, rules: PagedRequest, first: Prepared) -> None:
        self._rules = rules
        self._first = first
        self._walk = PageWalk(rules.paged, Step(first.target, {}), rules.endpoint)
        self._walk.begin()
        self._result: list[Json] = []

    @property
    def is_repeatable(self) -> bool:
        """Whether asking for a page twice does no harm."""
        return self._rules.is_repeatable

    def message(self) -> Prepared:
        """Return the request for the next page."""
        message = self._first._replace(target=self._walk.address)
        cursor, pages = self._walk.in_body, self._rules.paged.pages
        if cursor is None or not isinstance(pages, Cursor) or pages.in_body is None:
            return message
        return message._replace(body=with_cursor(self._first.body or b"{}", pages.in_body, cursor))

    @property
    def is_elsewhere(self) -> bool:
        """Whether a page is at another origin: it is no page then."""
        return False

    def take(self, answer: RawAnswer, address: str) -> Outcome:
        """Return the outcome of all pages after the last one, `More` after another, or why it is no page."""
        outcome = self._rules.reader.outcome(*answer)
        is_end = outcome.status in self._walk.end_statuses
        if not is_end and outcome.status in self._rules.null_statuses:
            return outcome if self._walk.number == 1 else self._nothing(outcome)
        if not is_end and outcome.failure is not None:
            return outcome
        received = Answer(answer.status, address, answer.headers, None if is_end else outcome.result)
        try:
            # A missing field is an error of the walk's, too, but one with the answer's address: the parameter is in it.
            if not is_end and self._rules.items.of(received.answer) is None and self._walk.number == 1:
                return replace(outcome, kind=Kind.NULL, result=None)
            step = self._read(received)
        except (NotPaged, PartMissing) as error:
            failure = Failure(type(error).__name__, str(error))
            return replace(outcome, kind=Kind.INVALID, result=None, failure=failure)
        if isinstance(step, Step):
            return More(Kind.NULL, status=outcome.status, retry_after_s=outcome.retry_after_s)
        is_null = self._rules.empty_is_null and not self._result
        return Outcome(
            Kind.NULL if is_null else Kind.OK,
            None if is_null else self._result,
            outcome.status,
            retry_after_s=outcome.retry_after_s,
        )

    def failed(self, outcome: Outcome) -> Outcome:
        """Return an outcome whose message begins with the number of the page."""
        if outcome.failure is None:
            return outcome
        text = f"page {self._walk.number}: {outcome.failure.message}"
        return replace(outcome, failure=replace(outcome.failure, message=text))

    def _read(self, answer: Answer) -> Step | End:
        """Take a page's items, and return the next page or the end.

        :raises NotPaged: when the answer isn't the page that `pages` expects.
        """
        page = self._walk.take(answer)
        if isinstance(page, End):
            return page
        step = self._walk.following(page)
        if isinstance(step, Step):
            self._check_origin()
        self._result += page.items
        return step

    def _check_origin(self) -> None:
        """Check that the next page is where the credentials belong.

        :raises NotPaged: when it is on another host, port or scheme.
        """
        try:
            origin = origin_of(self._walk.address)
        except BadAddress as error:
            raise NotPaged(f"it can't be requested: {error}") from None
        if origin != self._rules.origin:
            there, own = (f"{where.scheme}://{where.host}:{where.port}" for where in (origin, self._rules.origin))
            raise NotPaged(
                f"the page before it says that it is at {there}, and the connection's address is at {own}. The page "
                "wasn't requested, because the connection's credentials are for its own address only"
            )

    def _nothing(self, outcome: Outcome) -> Outcome:
        """Return what a page after the first is whose status says that there is nothing."""
        hint = ""
        if isinstance(self._rules.paged.pages, Counted):
            kind = type(self._rules.paged.pages).__name__
            hint = f"; if that is the end of the pages, write {kind}(…, end_statuses=({outcome.status},))"
        text = f"HTTP {outcome.status} says that there is nothing, and there were pages before it{hint}"
        return replace(outcome, kind=Kind.INVALID, failure=Failure("NotPaged", text))
