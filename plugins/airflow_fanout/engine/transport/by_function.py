"""An author's function as a transport: `fetch(session, …parameter…) -> result | None`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.engine.call_limit import CallLimit
from airflow_fanout.engine.call_traffic import current_call
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.engine.transport.authors import NO_SECRETS, file_of, outcome_of_call
from airflow_fanout.engine.transport.unjson import hint
from airflow_fanout.model import parameter
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.privacy.redaction import Secrets

if TYPE_CHECKING:
    from airflow_fanout.api.session import FanoutSession


class FunctionTransport:
    """Calls the function with the shared session; whatever it does becomes one outcome.

    :param secrets: what is taken out of the messages of its exceptions.
    """

    # A function that changes something on the server says so by being tried once: Retry(max_attempts=1).
    repeatable = True

    def __init__(
        self, session: FanoutSession, function: Callable[..., Any], total_s: float, secrets: Secrets = NO_SECRETS
    ) -> None:
        self._secrets = secrets
        self._session = session
        self._function = function
        self._total_s = total_s
        self._file = file_of(function)

    def fetch(self, value: Json) -> Outcome:
        """Make one try."""
        try:
            return self._outcome(value)
        finally:
            self._session.close_streams()

    def _outcome(self, value: Json) -> Outcome:
        args, kwargs = parameter.arguments(value)
        limit = CallLimit(self._total_s)
        if call := current_call():
            call.limit = limit
        limit.start()
        try:
            result = self._function(self._session, *args, **kwargs)
            outcome = _outcome(list(result) if inspect.isgenerator(result) else result)
            # A bare `except:` in the function may have swallowed the timeout and gone on to something else.
            return timed_out(self._total_s) if limit.has_struck else outcome
        except BaseException as error:  # noqa: BLE001 - an author's function may raise anything, GreenletExit, say
            # Whatever it has made of the timeout, there was none of its time left.
            return timed_out(self._total_s) if limit.has_struck else outcome_of_call(error, self._file, self._secrets)
        finally:
            limit.close()


def _outcome(result: object) -> Outcome:
    if result is None:
        return Outcome(Kind.NULL)
    try:
        return Outcome(Kind.OK, result=codec.plain(result))
    except codec.NotJson as error:
        text = f"the function's result isn't JSON: {hint(result) or error}"
        return Outcome(Kind.ERROR, failure=Failure("NotJson", text))
