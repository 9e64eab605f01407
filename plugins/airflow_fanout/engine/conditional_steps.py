"""Requests that ask for an answer only if it has changed since the report's last good run (RFC 9110, 13)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.api.compiled import Compiled, Prepared
from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.ratelimit import pause_s
from airflow_fanout.api.request import Request
from airflow_fanout.engine.libcurl.address import in_ascii
from airflow_fanout.engine.settlement import Write
from airflow_fanout.engine.steps import RawAnswer
from airflow_fanout.engine.transport.answer import AnswerReader
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Kind, Outcome, Record, Validators
from airflow_fanout.staging.previous import Previous, PreviousResults

# By which fields of a request an answer becomes a result: with others, an old result isn't what the author wants.
READING = ("result", "empty_is_null", "parse", "failed_if", "retry_if", "null_statuses")


class ConditionalRequest:
    """What is the same for all parameters of a conditional request.

    :param compiled: what is sent for a parameter.
    :param reader: reads the answers that have changed.
    :param previous: the results of the last good run.
    """

    def __init__(
        self, request: Request, endpoint: Endpoint, compiled: Compiled, reader: AnswerReader, previous: PreviousResults
    ) -> None:
        self.base = f"{in_ascii(endpoint.base_url)}/"
        self.reader = reader
        self.is_repeatable = request.is_repeatable
        self.validators: dict[int, Validators] = {}
        self._compiled = compiled
        self._previous = previous
        self._reading = msgspec.to_builtins({name: getattr(request, name) for name in READING}, enc_hook=list)

    def begin(self, task: Task) -> ConditionalSteps:
        """Return the one step of a task.

        :raises ValueError: when the parameter's value can't stand where the request puts it.
        """
        prepared = self._compiled.message(task.parameter)
        prepared = prepared._replace(target=self.base + prepared.target.removeprefix("/"))
        request = [prepared.method, prepared.target, dict(prepared.headers), self._reading]
        digest = hashlib.sha256(codec.canonical(request)).hexdigest()[:32]
        return ConditionalSteps(self, task.index, prepared, digest, self._previous.find(digest))

    def noting(self, write: Write) -> Write:
        """Return what writes records with the validators of their answers."""

        def noted(records: Sequence[Record]) -> None:
            write([replace(record, validators=self.validators.pop(record.index, None)) for record in records])

        return noted


class ConditionalSteps:
    """The request of one parameter.

    :param rules: what is the same for all parameters.
    :param of: the digest of the request.
    :param previous: the result of the same request in the last good run, if it has one.
    """

    is_elsewhere = False

    def __init__(
        self, rules: ConditionalRequest, index: int, prepared: Prepared, of: str, previous: Previous | None
    ) -> None:
        self._rules = rules
        self._index = index
        self._of = of
        self._previous = previous
        self._message = prepared
        if previous is not None:
            known = previous.validators
            conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
            headers = {**prepared.headers, **{name: value for name, value in conditions.items() if value is not None}}
            self._message = prepared._replace(headers=headers)

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no harm."""
        return self._rules.is_repeatable

    def message(self) -> Prepared:
        """Return the request, with the conditions under which it is answered in full."""
        return self._message

    def take(self, answer: RawAnswer, address: str) -> Outcome:  # noqa: ARG002 - whose answer it is, is known
        """Return the outcome of an answer; of one that says that nothing has changed, with the old result."""
        if answer.status != HTTPStatus.NOT_MODIFIED or self._previous is None:
            outcome = self._rules.reader.outcome(*answer)
            if outcome.kind is Kind.OK and answer.status == HTTPStatus.OK:
                self._note(_validators(self._of, answer.headers))
            return outcome
        known = self._previous.validators
        fresh = _validators(self._of, answer.headers)
        # RFC 9110, 15.4.5: a 304 has the fields that have changed.
        self._note(replace(known, etag=fresh.etag or known.etag, modified=fresh.modified or known.modified))
        pause = pause_s(answer.headers, datetime.now(UTC))
        return Outcome(Kind.OK, self._previous.result, answer.status, retry_after_s=pause)

    def failed(self, outcome: Outcome) -> Outcome:
        """Return an outcome as it is: there is one request."""
        return outcome

    def _note(self, validators: Validators) -> None:
        if validators.etag is not None or validators.modified is not None:
            self._rules.validators[self._index] = validators


def _validators(of: str, headers: Mapping[str, str]) -> Validators:
    return Validators(of=of, etag=headers.get("ETag"), modified=headers.get("Last-Modified"))
