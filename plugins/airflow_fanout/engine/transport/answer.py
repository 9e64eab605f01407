"""What an answer to a declarative request means, whoever has received it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from msgspec.structs import replace

from airflow_fanout import codec
from airflow_fanout.api.ratelimit import pause_s
from airflow_fanout.api.request import Request
from airflow_fanout.api.result import PartMissing, ResultPath
from airflow_fanout.engine.steps import RawAnswer
from airflow_fanout.engine.transport.authors import CallFailed
from airflow_fanout.engine.transport.judging import AnswerJudge
from airflow_fanout.engine.transport.parsing import BodyTooLong, parser_of
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.privacy.redaction import Secrets
from airflow_fanout.wire.body import BadBody, charset_of

Headers = Mapping[str, str]
# To look a member up costs more than to make an outcome of it.
_OK, _NULL = Kind.OK, Kind.NULL


class AnswerReader:
    """Reads answers as a request wants them read.

    :param request: says which part is the result, and what counts as none.
    :param most: the most bytes that a body may have once it is decompressed.
    :param secrets: what is taken out of the messages of the author's exceptions.
    """

    def __init__(self, request: Request, most: int, secrets: Secrets) -> None:
        self._part = ResultPath(request.result, empty_is_null=request.empty_is_null)
        self._null_statuses = frozenset({HTTPStatus.NO_CONTENT, *request.null_statuses})
        self._parse = parser_of(request.parse, most, secrets)
        is_judged = request.failed_if is not None or request.retry_if is not None
        self._judge = AnswerJudge(request, secrets) if is_judged else None

    def outcome(self, status: int, reason: str, body: bytes, headers: Headers) -> Outcome:
        """Return the outcome of an answer.

        :param status: its HTTP status.
        :param reason: the status in words.
        :param body: its body, decompressed.
        :param headers: at least those that speak of limits; their names in any case.
        """
        if 200 <= status < 300:
            return self.good(status, body, headers)
        return self.bad(status, reason, headers)

    def plain(self, body: bytes) -> Outcome:
        """Return the outcome of an answer with the status 200 and nothing special in its head."""
        try:
            result = self._part.of(codec.decode(body))
        except (codec.NotJson, PartMissing):
            return self.good(200, body, {})
        return Outcome(_NULL if result is None else _OK, result, 200)

    def good(self, status: int, body: bytes, headers: Headers) -> Outcome:
        """Return the outcome of an answer with a status of 2xx."""
        # A good answer may say that it was the last one for a while.
        pause = pause_s(headers, datetime.now(UTC)) if headers else None
        if status in self._null_statuses:
            return Outcome(Kind.NULL, status=status, retry_after_s=pause)
        try:
            answer = self._parse(body, charset_of(headers.get("Content-Type")))
            if self._judge is not None and (failed := self._judge.outcome(answer, status, pause)):
                return failed
            result = self._part.of(answer)
        except CallFailed as error:
            return replace(error.outcome, retry_after_s=pause)
        except (codec.NotJson, BadBody, BodyTooLong, PartMissing) as error:
            failure = Failure(type(error).__name__, str(error))
            garbled = isinstance(error, codec.NotJson | BadBody)
            return Outcome(Kind.INVALID, status=status, failure=failure, garbled=garbled, retry_after_s=pause)
        return Outcome(_NULL if result is None else _OK, result, status, None, pause)

    def bad(self, status: int, reason: str, headers: Headers) -> Outcome:
        """Return the outcome of an answer with any other status; a redirect that was not to be followed is one."""
        pause = pause_s(headers, datetime.now(UTC))
        if status in self._null_statuses:
            return Outcome(Kind.NULL, status=status, retry_after_s=pause)
        failure = Failure("HTTPError", f"HTTP {status} {reason}".rstrip())
        return Outcome(Kind.HTTP_ERROR, status=status, failure=failure, retry_after_s=pause)


class UnreadAnswers(AnswerReader):
    """Leaves answers as they are, for a task's steps to read."""

    def outcome(self, status: int, reason: str, body: bytes, headers: Headers) -> Outcome:
        """Return the answer, whatever its status, as a result."""
        return Outcome(Kind.OK, RawAnswer(status, reason, body, headers), status)


class CloseReader(AnswerReader):
    """Reads answers of which each has to be looked at closely: they aren't JSON, or may say that they have failed."""

    def plain(self, body: bytes) -> Outcome:
        """Return the outcome of an answer with the status 200 and nothing special in its head."""
        return self.good(200, body, {})


def reader_of(request: Request, most: int, secrets: Secrets) -> AnswerReader:
    """Return what reads the answers to a request.

    :param most: the most bytes that a body may have once it is decompressed.
    :param secrets: what is taken out of the messages of the author's exceptions.
    """
    # What most requests need costs nothing for the others' sake.
    is_plain = request.parse == "json" and request.failed_if is None and request.retry_if is None
    return (AnswerReader if is_plain else CloseReader)(request, most, secrets)
