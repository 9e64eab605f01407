"""The requests of a task's steps over libcurl."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pycurl
from requests.utils import requote_uri

from airflow_fanout.api.endpoint import Endpoint
from airflow_fanout.api.request import Request
from airflow_fanout.engine.access import EngineAccess
from airflow_fanout.engine.libcurl.address import URL
from airflow_fanout.engine.libcurl.transfer import Transfer
from airflow_fanout.engine.steps import Elsewhere, RawAnswer
from airflow_fanout.engine.transport.answer import UnreadAnswers
from airflow_fanout.engine.transport.authors import NO_SECRETS
from airflow_fanout.engine.transport.by_curl import CurlTransport
from airflow_fanout.engine.transport.options import method_options
from airflow_fanout.engine.transport.steps import Begin
from airflow_fanout.engine.work import Task
from airflow_fanout.model.outcome import Outcome
from airflow_fanout.model.settings import FetchSettings
from airflow_fanout.privacy.redaction import Secrets

# CURLOPT_MAXAGE_CONN as libcurl has it by itself.
_USUAL_AGE_S = 118


class StepsByCurl(CurlTransport):
    """Tells handles the present request of a task's steps, and these what the answer is.

    :param begin: makes a task's steps.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request: Request,
        known: tuple[str, ...],
        settings: FetchSettings,
        easy: Callable[[], Any] = pycurl.Curl,
        secrets: Secrets = NO_SECRETS,
        access: EngineAccess | None = None,
        *,
        begin: Begin,
    ) -> None:
        super().__init__(endpoint, request, known, settings, easy, secrets, access=access)
        self._reading = UnreadAnswers(request, settings.max_body_bytes, secrets)
        # Each answer is looked at, since any of its headers may matter.
        self._usual = b""
        self._begin = begin
        self._method = request.method
        self._own_method = method_options(request)
        is_alone = int(request.own_connection)
        self._get = {
            pycurl.HTTPGET: 1,
            pycurl.FRESH_CONNECT: is_alone,
            pycurl.FORBID_REUSE: is_alone,
            pycurl.MAXAGE_CONN: _USUAL_AGE_S,
        }

    def prepare(self, transfer: Transfer, task: Task) -> None:
        """Tell a handle the present request of a task.

        :raises Elsewhere: when it goes to another origin than the connection's.
        :raises ValueError: when it can't be sent.
        """
        if task.steps is None:
            task.steps = self._begin(task)
        if task.steps.is_elsewhere:
            raise Elsewhere
        method, address, headers, body = task.steps.message()
        if method != (transfer.method or self._method):
            self._set_method(transfer, method)
        url = address if URL.fullmatch(address) else requote_uri(address)
        # Who reads the answer has no need of a key in the query.
        sent = self._introduction.endpoint.with_query(url)
        headers = self._introduction.signed(method, sent, headers, body)
        if headers is not transfer.told:
            self._introduction.introduce(transfer, headers)
        transfer.easy.setopt(pycurl.URL, sent.encode("ascii"))
        transfer.steps, transfer.address = task.steps, url
        if body is not None:
            self.tell_body(transfer, body)

    def _set_method(self, transfer: Transfer, method: str) -> None:
        """Make a handle ask, or do again what the author's request does."""
        if method != self._method:
            transfer.easy.unsetopt(pycurl.CUSTOMREQUEST)
        for option, value in (self._own_method if method == self._method else self._get).items():
            transfer.easy.setopt(option, value)
        transfer.method = method

    def outcome(self, transfer: Transfer, code: int, message: str) -> Outcome | None:
        """Return what came of a transfer to its task: an outcome, or that there is more to request.

        `None` for an answer that leads to another address, and is to be followed.
        """
        outcome = super().outcome(transfer, code, message)
        if outcome is None or transfer.steps is None or not isinstance(outcome.result, RawAnswer):
            return outcome
        return transfer.steps.take(outcome.result, transfer.address)
