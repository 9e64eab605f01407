"""Declarative requests over the shared `requests.Session`."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import requests
from msgspec.structs import replace
from urllib3 import HTTPHeaderDict, HTTPResponse

from airflow_fanout.api.access import REFUSED
from airflow_fanout.api.compiled import Compiled, Prepared
from airflow_fanout.api.failures import outcome_of
from airflow_fanout.api.request import Request
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.codec import Json
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.engine.transport.answer import reader_of
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Kind, Outcome
from airflow_fanout.privacy.redaction import Secrets
from airflow_fanout.wire.head import message_of, pairs_of


class RequestsTransport:
    """Sends what a declarative request says, and takes the result out of the answer.

    :param compiled: the request as it was read already, if it was.
    :param secrets: what is taken out of the messages of the author's exceptions.
    :param access: says whether requests wait for credentials; `None` if nobody renews them.
    """

    def __init__(
        self,
        session: FanoutSession,
        request: Request,
        known: tuple[str, ...],
        total_s: float,
        secrets: Secrets = NO_SECRETS,
        compiled: Compiled | None = None,
        access: EngineAccess | None = None,
    ) -> None:
        self._session = session
        self._access = access
        self._compiled = compiled or Compiled(request, known)
        self._reading = reader_of(request, session.max_body_bytes, secrets)
        self._total_s = total_s
        self.repeatable = request.is_repeatable
        # The session gives such a request a connection for itself.
        self._closing = {"Connection": "close"} if request.own_connection else {}

    def fetch(self, parameter: Json) -> Outcome:
        """Make one try."""
        return self.send(Task(0, parameter))

    def send(self, task: Task) -> Outcome:
        """Make one try of a task."""
        return self._sent(task, self._session.request, self._total_s)

    def message(self, task: Task) -> Prepared:
        """Return the request of a task.

        :raises ValueError: when it can't be sent.
        """
        return self._compiled.message(task.parameter)

    def outcome(self, task: Task, response: requests.Response) -> Outcome:  # noqa: ARG002 - steps are the task's
        """Return what an answer is to a task."""
        return self._reading.outcome(response.status_code, response.reason or "", response.content, response.headers)

    def follow(self, task: Task, status: int, head: list[bytes], left_s: float) -> Outcome:
        """Go where an answer leads that somebody else has received; the request itself isn't sent again.

        :param task: what was asked for.
        :param status: the answer's status, that of a redirect.
        :param head: its status line and header lines, as they came.
        :param left_s: what is left of the try's time, in seconds.
        """

        def go(method: str, target: str, **options: Any) -> requests.Response:
            pairs = pairs_of(head)
            # What requests looks for when it takes the cookies of an answer.
            original = SimpleNamespace(msg=message_of(pairs), isclosed=lambda: True, close=lambda: None)
            raw = HTTPResponse(
                io.BytesIO(),
                HTTPHeaderDict(pairs),
                status,
                original_response=original,  # type: ignore[arg-type] # it needs no more of it
                preload_content=False,
                enforce_content_length=False,
            )
            return self._session.follow(method, target, raw, **options)

        renewal = self._access.ready().renewal if self._access else 0
        outcome = self._sent(task, go, left_s)
        is_refused = outcome.kind is Kind.HTTP_ERROR and outcome.status == REFUSED
        if is_refused and self._access is not None and self._access.is_outdated(renewal):
            return replace(outcome, outdated=True)
        return outcome

    def _sent(self, task: Task, send: Callable[..., requests.Response], within_s: float) -> Outcome:
        try:
            with gevent.Timeout(within_s):
                method, target, headers, body = self.message(task)
                response = send(method, target, headers={**headers, **self._closing}, data=body)
                # Nothing of it is left to wait for: the time limit isn't that of the author's functions.
                _ = response.content
            return self.outcome(task, response)
        except gevent.Timeout:
            return timed_out(self._total_s, outdated=self._access is not None and self._access.is_held)
        except (requests.RequestException, ValueError) as error:
            return outcome_of(error)
