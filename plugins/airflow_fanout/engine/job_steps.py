"""The job of one parameter: it is created, asked about until it is ready, and its result is fetched."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import Enum

from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.api.address import BadAddress, origin_of
from airflow_fanout.api.compiled import Compiled, Prepared
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.page import field_text
from airflow_fanout.api.poll import JOB, Poll, is_one_of
from airflow_fanout.api.ratelimit import reset_s, retry_after_s
from airflow_fanout.api.request import Request
from airflow_fanout.api.result import PartMissing
from airflow_fanout.api.settled import own_origin
from airflow_fanout.codec import Json
from airflow_fanout.engine.job_answers import JobUnknown, TryOvertaken, address_of, shown, value_of
from airflow_fanout.engine.libcurl.address import in_ascii
from airflow_fanout.engine.steps import More, RawAnswer
from airflow_fanout.engine.transport.answer import AnswerReader, reader_of
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.engine.work import Task
from airflow_fanout.model import parameter
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.privacy.telling import JOB_MAY_EXIST
from airflow_fanout.staging.jobs import JobJournal, JobState

# How a server says that a job isn't ready, if it says it by the HTTP status, and that there is no such job any more.
_NOT_READY = 202
_GONE = frozenset({404, 410})


class Stage(Enum):
    """Which of a job's requests is under way, in words for a failure."""

    CREATE = "creating the job"
    STATUS = "asking about the job"
    RESULT = "fetching the job's result"


class PolledRequest:
    """What is the same for all parameters of a request with `poll`.

    :param compiled: what is sent to create a job.
    :param known: the fields that every parameter has.
    :param jobs: which jobs there are.
    :param reader: reads the result of a job.
    """

    def __init__(
        self,
        request: Request,
        endpoint: Endpoint,
        compiled: Compiled,
        known: tuple[str, ...],
        jobs: JobJournal,
        reader: AnswerReader,
    ) -> None:
        self.poll = request.poll or Poll()
        self.endpoint = replace(endpoint, base_url=in_ascii(endpoint.base_url))
        self.origin = own_origin(self.endpoint.base_url)
        self.jobs = jobs
        self.compiled = compiled
        self.is_repeatable = request.is_repeatable
        self.null_statuses = request.null_statuses
        # What a request says of failures and of nothing is said of the result.
        self.result_reader = reader
        self.refusals = reader_of(Request(endpoint="/"), 1, NO_SECRETS)
        headers = {name: text for name, text in request.headers.items() if name.lower() != "content-type"}
        fields = (*known, JOB)
        self.status = Compiled(Request(endpoint=self.poll.endpoint or "/", headers=headers), fields)
        self.result = Compiled(Request(endpoint=self.poll.download_endpoint or "/", headers=headers), fields)

    def begin(self, task: Task) -> JobSteps:
        """Return the steps of a task: from the beginning, or from the job on that exists."""
        return JobSteps(self, task)


class JobSteps:
    """The job of one parameter, and how far it is."""

    def __init__(self, rules: PolledRequest, task: Task) -> None:
        self._rules = rules
        self._index = task.index
        self._values = parameter.fields(task.parameter)
        self._create = rules.compiled.message(task.parameter)
        self._stage = Stage.CREATE
        self._job: Json = None
        self._is_intended = False
        self._is_unknown = False
        self._ends_s = 0.0
        self._download: str | None = None
        note = rules.jobs.last(task.index)
        if note is not None and note.state is JobState.CREATED:
            # What the clock of the earlier try said is all that is known of how long the job has taken.
            self._go_on(note.job, max(0.0, time.time() - note.at))
        elif note is not None:
            self._is_unknown = not rules.is_repeatable

    @property
    def is_repeatable(self) -> bool:
        """Whether sending the present request twice does no harm: a question doesn't."""
        return self._stage is not Stage.CREATE or self._rules.is_repeatable

    @property
    def is_elsewhere(self) -> bool:
        """Whether the result is at another origin than the connection's."""
        return self._download is not None and origin_of(self._download) != self._rules.origin

    def message(self) -> Prepared:
        """Return the present request; before a job is created, that is written down.

        :raises JobUnknown: when a job may exist that nobody knows.
        :raises TryOvertaken: when a later try has begun.
        """
        if self._stage is Stage.CREATE:
            return self._creation()
        if self._stage is Stage.RESULT:
            if self._download is None:
                return self._get(self._rules.result)
            # The author's headers are for the API itself: some carry a key.
            headers = {} if self.is_elsewhere else self._get(self._rules.result).headers
            return Prepared("GET", self._download, headers, None)
        asked = self._get(self._rules.status)
        return asked if self._rules.poll.endpoint is not None else asked._replace(target=str(self._job))

    def take(self, answer: RawAnswer, address: str) -> Outcome:
        """Return the outcome of the job, `More` while there is none, or what is wrong with an answer."""
        if self._stage is Stage.RESULT:
            return self._rules.result_reader.outcome(*answer)
        if self._stage is Stage.CREATE and answer.status in self._rules.null_statuses:
            self._release()
            return Outcome(Kind.NULL, status=answer.status)
        if not 200 <= answer.status < 300:
            return self._refused(answer)
        try:
            return self._created(answer, address) if self._stage is Stage.CREATE else self._asked(answer, address)
        except (PartMissing, BadAddress, codec.NotJson) as error:
            failure = Failure(type(error).__name__, str(error))
            # A torn answer is whole the next time; but nobody creates a job twice for its sake.
            return Outcome(
                Kind.INVALID, status=answer.status, failure=failure, garbled=isinstance(error, codec.NotJson)
            )

    def failed(self, outcome: Outcome) -> Outcome:
        """Return an outcome that says at which request, and whether a job may exist."""
        if outcome.failure is None:
            return outcome
        text = f"{self._stage.value}: {outcome.failure.message}"
        if self._stage is Stage.CREATE and self._is_intended:
            # What is wrong with the request itself is found before it is sent.
            if outcome.unsent or outcome.unprocessed or outcome.kind is Kind.ERROR:
                self._release()
            elif not self._rules.is_repeatable:
                text = f"{text}{JOB_MAY_EXIST}: it isn't created again, because the request has no idempotency key"
        return replace(outcome, failure=replace(outcome.failure, message=text))

    def _creation(self) -> Prepared:
        if self._is_unknown:
            raise JobUnknown
        if not self._is_intended:
            self._is_intended = True
            if not self._rules.jobs.intend(self._index):
                self._release()
                raise TryOvertaken
        return self._create._replace(target=self._rules.endpoint.url(self._create.target))

    def _release(self) -> None:
        """Note that there is no job: another one may be created, by this try or by a later one."""
        self._is_intended = False
        self._rules.jobs.over(self._index)

    def _get(self, compiled: Compiled) -> Prepared:
        message = compiled.message({**self._values, JOB: self._job})
        return message._replace(target=self._rules.endpoint.url(message.target))

    def _refused(self, answer: RawAnswer) -> Outcome:
        """Return the outcome of an answer that is no good one, and note what it says of the job."""
        is_creation = self._stage is Stage.CREATE
        # What a server has refused it hasn't carried out; after an error of its own nobody knows.
        if (is_creation and answer.status < 500) or (not is_creation and answer.status in _GONE):
            self._release()
        return self._rules.refusals.bad(answer.status, answer.reason, answer.headers)

    def _created(self, answer: RawAnswer, address: str) -> Outcome:
        poll = self._rules.poll
        job = value_of(answer, poll.job)
        if isinstance(job, bool) or not isinstance(job, str | int) or job == "":
            where = field_text(poll.job)
            raise PartMissing(f"{where} is of type {type(job).__name__}, and no id or address of a job")
        if poll.endpoint is None:
            job = address_of(job, address)
            if origin_of(job) != self._rules.origin:
                raise BadAddress("the job's address is at another origin than the connection's")
        self._rules.jobs.created(self._index, job)
        self._go_on(job, 0.0)
        return self._more(answer, poll.interval_s, poll.timeout_s)

    def _go_on(self, job: Json, taken_s: float) -> None:
        self._job, self._stage = job, Stage.STATUS
        self._ends_s = time.monotonic() + self._rules.poll.timeout_s - taken_s

    def _asked(self, answer: RawAnswer, address: str) -> Outcome:
        poll = self._rules.poll
        status = None if poll.status is None else value_of(answer, poll.status)
        is_ready = answer.status != _NOT_READY if poll.status is None else is_one_of(status, poll.ready)
        if is_one_of(status, poll.failed):
            self._rules.jobs.over(self._index)
            failure = Failure("JobFailed", f"the job has failed; its status is {shown(status)}")
            return Outcome(Kind.API_ERROR, status=answer.status, failure=failure)
        if not is_ready:
            return self._not_ready(answer, status)
        if poll.download is not None:
            self._download = address_of(value_of(answer, poll.download), address)
        elif poll.download_endpoint is None:
            return self._rules.result_reader.outcome(*answer)
        self._stage = Stage.RESULT
        return self._more(answer, 0.0)

    def _not_ready(self, answer: RawAnswer, status: Json) -> Outcome:
        poll, left_s = self._rules.poll, self._ends_s - time.monotonic()
        if left_s > 0:
            return self._more(answer, min(poll.interval_s, left_s), left_s)
        said = "" if poll.status is None else f"; its last status is {shown(status)}"
        text = f"the job isn't ready after {poll.timeout_s:,g} s (Poll.timeout_s){said}"
        return More(
            Kind.NULL,
            status=answer.status,
            ends=Outcome(Kind.TIMEOUT, failure=Failure("JobTimeout", text)),
        )

    def _more(self, answer: RawAnswer, wait_s: float, most_s: float | None = None) -> More:
        """Return when the next request is due: `Retry-After` is about this job, and limits are about all requests."""
        now = datetime.now(UTC)
        asked_s = retry_after_s(answer.headers, now) if wait_s else None
        wait_s = wait_s if asked_s is None else asked_s
        return More(
            Kind.NULL,
            status=answer.status,
            retry_after_s=reset_s(answer.headers, now),
            wait_s=wait_s if most_s is None else min(wait_s, most_s),
        )
