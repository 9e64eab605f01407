"""Declarative requests of which a parameter needs several: whoever sends them asks the task's steps which is next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_fanout.api.compiled import Prepared
from airflow_fanout.api.request import Request
from airflow_fanout.api.session import FanoutSession
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.steps import RawAnswer, Steps
from airflow_fanout.engine.transport.answer import UnreadAnswers
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.engine.transport.by_requests import RequestsTransport
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.privacy.redaction import Secrets

if TYPE_CHECKING:
    import requests

# Returns a task's steps, before the first.
Begin = Callable[[Task], Steps]


class StepsByRequests(RequestsTransport):
    """Sends the requests of a task's steps over the shared `requests.Session`.

    :param begin: makes a task's steps.
    """

    def __init__(
        self,
        session: FanoutSession,
        request: Request,
        known: tuple[str, ...],
        total_s: float,
        secrets: Secrets = NO_SECRETS,
        access: EngineAccess | None = None,
        *,
        begin: Begin,
    ) -> None:
        super().__init__(session, request, known, total_s, secrets, access=access)
        self._reading = UnreadAnswers(request, session.max_body_bytes, secrets)
        self._begin = begin

    def message(self, task: Task) -> Prepared:
        """Return the present request of a task."""
        if task.steps is None:
            task.steps = self._begin(task)
        return task.steps.message()

    def outcome(self, task: Task, response: requests.Response) -> Outcome:
        """Return what an answer is to a task: its outcome, or that there is more to request."""
        outcome = super().outcome(task, response)
        if task.steps is None or not isinstance(outcome.result, RawAnswer):
            return outcome
        return task.steps.take(outcome.result, response.url)
