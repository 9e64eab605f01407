"""What an answer to a declarative request means, whoever has received it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from airflow_fanout import codec
from airflow_fanout.outcome import Failure, Kind, Outcome
from airflow_fanout.ratelimit import pause_s, reset_s
from airflow_fanout.request import Request
from airflow_fanout.result import Part, PartMissing

Headers = Mapping[str, str]
# To look a member up costs more than to make an outcome of it.
_OK, _NULL = Kind.OK, Kind.NULL


class Reading:
    """Reads answers as a request wants them read.

    :param request: says which part is the result, and what counts as none.
    """

    def __init__(self, request: Request) -> None:
        self._part = Part(request.result, empty_is_null=request.empty_is_null)
        self._null_statuses = frozenset({HTTPStatus.NO_CONTENT, *request.null_statuses})

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

    def good(self, status: int, body: bytes, headers: Headers) -> Outcome:
        """Return the outcome of an answer with a status of 2xx."""
        if status in self._null_statuses:
            return Outcome(Kind.NULL, status=status)
        try:
            result = self._part.of(codec.decode(body))
        except (codec.NotJson, PartMissing) as error:
            failure = Failure(type(error).__name__, str(error))
            return Outcome(Kind.INVALID, status=status, failure=failure, garbled=isinstance(error, codec.NotJson))
        # A good answer may say that it was the last one for a while.
        pause = reset_s(headers, datetime.now(UTC)) if headers else None
        return Outcome(_NULL if result is None else _OK, result, status, None, pause)

    def bad(self, status: int, reason: str, headers: Headers) -> Outcome:
        """Return the outcome of an answer with any other status; a redirect that was not to be followed is one."""
        if status in self._null_statuses:
            return Outcome(Kind.NULL, status=status)
        failure = Failure("HTTPError", f"HTTP {status} {reason}".rstrip())
        pause = pause_s(headers, datetime.now(UTC))
        return Outcome(Kind.HTTP_ERROR, status=status, failure=failure, retry_after_s=pause)
