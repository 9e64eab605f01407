"""One page of a list, asked for as often as the list's settings allow."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple
from urllib.parse import urlsplit

from airflow_fanout import codec
from airflow_fanout.api.access import CredentialSource
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.failures import outcome_of, outcome_of_status
from airflow_fanout.api.page import PAGE_STATUSES, Answer, Step, pairs_of
from airflow_fanout.api.paging import Counted
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.api.signing import Signing
from airflow_fanout.control.retry import Again, RetryBudget, decide
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.privacy.telling import words_of
from airflow_fanout.sources.causes import lasting_cause
from airflow_fanout.sources.errors import BadSource, UnusableList
from airflow_fanout.sources.http_list import HttpList
from airflow_fanout.sources.source import Turns
from airflow_fanout.wire.adapter import BodyTooLarge
from airflow_fanout.wire.body import charset_of, read_json
from airflow_fanout.wire.deadline import Deadline, DeadlineAdapter

log = logging.getLogger(__name__)

# A wait that is longer is said with its end.
LONG_WAIT_S = 5.0
# A torn answer looks like one that never was JSON; asked once more, it is whole.
MOST_GARBLED = 2

ADVICE = {
    401: "The API refused the credentials of the connection, or the connection has none",
    403: "The user of the connection may not read this list",
    404: "There is nothing at this path: check `endpoint` and the connection's host",
    407: "The proxy requires credentials: check `proxies` in the connection's extra",
}


class _Failed(NamedTuple):
    """A try that gave no page; `lasting` says why no further one would."""

    outcome: Outcome
    text: str
    lasting: bool = False
    elsewhere: str = ""


class Asker:
    """Asks for pages, one at a time, over one session; `doing` says what it waits for, since `since`."""

    def __init__(
        self,
        source: HttpList,
        endpoint: Endpoint,
        sleep: Callable[[float], None],
        access: CredentialSource | None = None,
        turns: Turns | None = None,
    ) -> None:
        self._source = source
        self._endpoint = endpoint
        self._sleep = sleep
        self._deadline = Deadline(source.timeouts.total_s)
        settings = FetchSettings(concurrency=1, timeouts=source.timeouts, max_body_bytes=source.max_page_bytes)
        self._access, self._turns = access, turns
        signing = Signing(source.sign, endpoint) if source.sign is not None else None
        self._session = FanoutSession(endpoint, settings, access=access, signing=signing)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, DeadlineAdapter(source.max_page_bytes, self._deadline))
        self._has_answered = False
        self.doing, self.since = "", time.monotonic()

    def close(self) -> None:
        """Close the session's connections."""
        self._session.close()
        if self._turns is not None:
            self._turns.close()

    def ask(self, step: Step, *, number: int, last: Collection[int]) -> Answer:
        """Return the answer that a page is.

        :param last: statuses that say that there is no such page.
        :raises BadSource: if it can't be read now; `UnusableList` if a retry can't help.
        """
        budget, policy, total_s, garbled = RetryBudget(1.0), self._source.retry, self._source.timeouts.total_s, 0
        for attempt in count(1):
            self.now(f"asking for page {number} (attempt {attempt} of {policy.max_attempts}, at most {total_s:g} s)")
            got = self._try(step, last)
            if isinstance(got, Answer):
                self._has_answered = True
                return got
            garbled += got.outcome.garbled
            if self._turns is not None and got.outcome.retry_after_s is not None:
                self._turns.paused(got.outcome.retry_after_s)
            decision = decide(
                got.outcome, attempt=attempt, policy=policy, repeatable=True, budget=budget, uniform=random.uniform
            )
            if got.lasting or garbled >= MOST_GARBLED or not isinstance(decision, Again):
                # requests' own words have the whole address, with its query.
                raise self._error(got, number, attempt) from None
            self.wait(decision.wait_s, f"page {number}: {got.text}")
        raise AssertionError("counting doesn't end")

    def now(self, doing: str) -> None:
        """Say what is being done from now on."""
        self.doing, self.since = doing, time.monotonic()

    def wait(self, seconds: float, why: str) -> None:
        """Wait, and say why; of a long wait, also until when."""
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")
        level = logging.WARNING if seconds > LONG_WAIT_S else logging.INFO
        log.log(level, "%s: %s. Waiting %.1f s, until %s.", self._source, why, seconds, until)
        self.now(f"waiting until {until} ({why})")
        self._sleep(seconds)

    def _try(self, step: Step, last: Collection[int]) -> Answer | _Failed:
        if self._access is not None:
            # A token may have to be waited for, which is none of the page's time.
            self._access.ready()
        if self._turns is not None:
            doing = self.doing
            self.now("waiting for its turn in the request budget of the API")
            self._turns.wait()
            self.now(doing)
        self._deadline.start()
        try:
            response = self._session.get(step.target, params=pairs_of(step.query))
        except (OSError, ValueError) as error:
            return self._not_answered(error)
        if response.status_code in last:
            return Answer(response.status_code, response.url, response.headers)
        if response.status_code not in PAGE_STATUSES:
            outcome = outcome_of_status(response)
            addresses = map(urlsplit, (response.url, self._endpoint.base_url))
            there, own = (f"{parts.scheme}://{parts.netloc}".lower() for parts in addresses)
            elsewhere = f". The page is at {there}, not at {own}: no credentials were sent there"
            return _Failed(outcome, _words(outcome), elsewhere="" if there == own else elsewhere)
        try:
            answer = read_json(response.content, charset_of(response.headers.get("Content-Type")))
        except codec.NotJson as error:
            text = f"the answer isn't JSON: {error} (HTTP {response.status_code} from {urlsplit(response.url).path})"
            return _Failed(Outcome(Kind.INVALID, garbled=True, failure=Failure("NotJson", text)), text)
        return Answer(response.status_code, response.url, response.headers, answer)

    def _not_answered(self, error: Exception) -> _Failed:
        if isinstance(error, BodyTooLarge):
            text = f"it is larger than {self._source.max_page_bytes:,} bytes (max_page_bytes of the HttpList)"
            return _Failed(outcome_of(error), text, lasting=True)
        # A host that has answered is there: what is wrong with it now may pass.
        if not self._has_answered and (cause := lasting_cause(error)):
            return _Failed(outcome_of(error), cause, lasting=True)
        outcome = outcome_of(error)
        if self._deadline.is_over:
            total_s = self._source.timeouts.total_s
            return _Failed(outcome, f"it wasn't complete after {total_s:g} s (timeouts.total_s of the HttpList)")
        return _Failed(outcome, _words(outcome))

    def _error(self, failed: _Failed, number: int, attempt: int) -> BadSource:
        outcome, policy = failed.outcome, self._source.retry
        text = f"page {number}: {failed.text} after {attempt} attempt(s)"
        if number > 1 and isinstance(self._source.pages, Counted) and 200 < (outcome.status or 0) < 500:
            kind = type(self._source.pages).__name__
            text = f"{text}; if that is the end of the list, write {kind}(…, end_statuses=({outcome.status},))"
        if outcome.status in ADVICE:
            text = f"{text}. {ADVICE[outcome.status]} (connection {self._source.http_conn_id!r}){failed.elsewhere}"
        if (asked_s := outcome.retry_after_s or 0.0) > policy.max_retry_after_s:
            longest = f"retry.max_retry_after_s={policy.max_retry_after_s:g}"
            text = f"{text}: the API asked us to wait {asked_s:,.0f} s, longer than {longest}"
        # Whoever names a time for the next request isn't refusing for good.
        passing = (
            outcome.retry_after_s is not None
            or outcome.kind in (Kind.TIMEOUT, Kind.CONNECTION_ERROR)
            or outcome.garbled
        )
        passing = passing or outcome.status in policy.statuses
        error = BadSource if passing and not failed.lasting else UnusableList
        return error(str(self._source), text)


def _words(outcome: Outcome) -> str:
    return words_of(outcome.failure, kind=outcome.kind, status=outcome.status) if outcome.failure else outcome.kind
