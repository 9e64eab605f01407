"""Declarative requests over the shared `requests.Session`."""

from __future__ import annotations

from datetime import UTC, datetime

import gevent
import requests

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.failures import outcome_of, outcome_of_status
from airflow_fanout.outcome import Failure, Kind, Outcome
from airflow_fanout.ratelimit import reset_s
from airflow_fanout.request import Compiled, Request
from airflow_fanout.result import Part, PartMissing


class RequestsTransport:
    """Sends what a declarative request says, and takes the result out of the answer."""

    def __init__(self, session: requests.Session, request: Request, known: tuple[str, ...], total_s: float) -> None:
        self._session = session
        self._compiled = Compiled(request, known)
        self._part = Part(request.result, empty_is_null=request.empty_is_null)
        self._null_statuses = frozenset(request.null_statuses)
        self._total_s = total_s
        self.repeatable = request.is_repeatable

    def fetch(self, parameter: Json) -> Outcome:
        """Make one try."""
        try:
            with gevent.Timeout(self._total_s):
                return self._try(parameter)
        except gevent.Timeout:
            return timed_out(self._total_s)
        except (requests.RequestException, ValueError) as error:
            return outcome_of(error)

    def _try(self, parameter: Json) -> Outcome:
        method, target, headers, body = self._compiled.message(parameter)
        response = self._session.request(method, target, headers=headers, data=body)
        if response.status_code in self._null_statuses or response.status_code == requests.codes.no_content:
            return Outcome(Kind.NULL, status=response.status_code)
        if not 200 <= response.status_code < 300:  # a redirect that was not to be followed is no answer either
            return outcome_of_status(response)
        return self._judge(response)

    def _judge(self, response: requests.Response) -> Outcome:
        try:
            result = self._part.of(codec.decode(response.content))
        except (codec.NotJson, PartMissing) as error:
            failure = Failure(type(error).__name__, str(error))
            garbled = isinstance(error, codec.NotJson)
            return Outcome(Kind.INVALID, status=response.status_code, failure=failure, garbled=garbled)
        kind = Kind.NULL if result is None else Kind.OK
        # A good answer may say that it was the last one for a while.
        pause = reset_s(response.headers, datetime.now(UTC))
        return Outcome(kind, result=result, status=response.status_code, retry_after_s=pause)
