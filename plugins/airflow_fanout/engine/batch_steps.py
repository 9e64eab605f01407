"""The request of a batch, and what its answer is to each of its parameters."""

from __future__ import annotations

from typing import cast

from msgspec.structs import replace

from airflow_fanout.api.compiled import Compiled, Prepared
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.failures import outcome_of
from airflow_fanout.api.request import Request
from airflow_fanout.api.result import PartMissing, ResultPath
from airflow_fanout.api.splitting import NotSplit, Splitter
from airflow_fanout.engine.batches import BatchTask, Split
from airflow_fanout.engine.libcurl.address import in_ascii
from airflow_fanout.engine.steps import RawAnswer
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.privacy.redaction import Secrets


class BatchedRequest:
    """What is the same for all batches of a request.

    :param compiled: what is sent for a batch.
    :param max_body_bytes: the most bytes that an answer may have once it is decompressed.
    :param secrets: what is taken out of the messages of the author's exceptions.
    """

    def __init__(
        self, request: Request, endpoint: Endpoint, compiled: Compiled, max_body_bytes: int, secrets: Secrets
    ) -> None:
        self.base = f"{in_ascii(endpoint.base_url)}/"
        self.compiled = compiled
        self.is_repeatable = request.is_repeatable
        self.items = ResultPath(request.result)
        self.splitter = Splitter(request.batch, empty_is_null=request.empty_is_null)
        self.reader = reader_of(replace(request, result=None, empty_is_null=False), max_body_bytes, secrets)

    def begin(self, task: Task) -> BatchSteps:
        """Return the one step of a batch.

        :raises ValueError: when none of its parameters can be put into the request.
        """
        return BatchSteps(self, cast("BatchTask", task))


class BatchSteps:
    """The one request of a batch.

    :param rules: what is the same for all batches.
    """

    is_elsewhere = False

    def __init__(self, rules: BatchedRequest, task: BatchTask) -> None:
        self._rules = rules
        self._task = task
        self._message = self._compiled()

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no harm."""
        return self._rules.is_repeatable

    def message(self) -> Prepared:
        """Return the request, with a whole address."""
        return self._message

    def take(self, answer: RawAnswer, address: str) -> Outcome:  # noqa: ARG002 - the address is the connection's own
        """Return the outcomes of all parameters of the batch, or why there are none."""
        outcome = self._rules.reader.outcome(*answer)
        if outcome.failure is not None:
            return outcome
        members = [member for member in self._task.members if member[0] not in self._task.unsent]
        try:
            items = self._rules.items.of(outcome.result)
            outcomes = self._rules.splitter.outcomes(items, [parameter for _, parameter in members], answer.status)
        except (NotSplit, PartMissing) as error:
            failure = Failure(type(error).__name__, str(error))
            return Outcome(Kind.INVALID, status=answer.status, failure=failure, retry_after_s=outcome.retry_after_s)
        by_index = dict(zip((index for index, _ in members), outcomes, strict=True)) | self._task.unsent
        own = tuple(by_index[index] for index, _ in self._task.members)
        return Split(Kind.NULL, status=answer.status, retry_after_s=outcome.retry_after_s, outcomes=own)

    def failed(self, outcome: Outcome) -> Outcome:
        """Return an outcome whose message says that the request was for several parameters."""
        if outcome.failure is None or self._task.size == 1:
            return outcome
        text = f"{outcome.failure.message} (in a batch of {self._task.size:,})"
        return replace(outcome, failure=replace(outcome.failure, message=text))

    def _compiled(self) -> Prepared:
        """Return the request for the parameters that can be put into it; the others have their outcomes already."""
        try:
            message = self._rules.compiled.message(self._task.parameter)
        except ValueError:
            if self._task.size == 1:
                raise
            self._task.unsent = self._unsent()
            sent = [parameter for index, parameter in self._task.members if index not in self._task.unsent]
            if not sent:
                raise
            message = self._rules.compiled.message(sent)
        return message._replace(target=self._rules.base + message.target.removeprefix("/"))

    def _unsent(self) -> dict[int, Outcome]:
        unsent = {}
        for index, parameter in self._task.members:
            try:
                self._rules.compiled.message([parameter])
            except ValueError as error:
                unsent[index] = outcome_of(error)
        return unsent
