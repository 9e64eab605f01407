"""An author's functions in the engine: what they raise becomes an outcome, with the place in the author's file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from msgspec.structs import replace

from airflow_fanout.api.failures import outcome_of
from airflow_fanout.model.functions import describe, inner
from airflow_fanout.model.outcome import Failure, Kind, Outcome
from airflow_fanout.privacy.redaction import Secrets

NO_SECRETS = Secrets(())


class CallFailed(Exception):
    """A function of a request has raised, or has returned what nobody can use; `outcome` is its parameter's."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class RequestFunction:
    """A function that is a field of a request, such as `failed_if`: called in the engine, once for each answer.

    :param field: the request's field.
    :param secrets: what is taken out of the messages of its exceptions.
    """

    def __init__(self, field: str, function: Callable[..., Any], secrets: Secrets = NO_SECRETS) -> None:
        self._field = field
        self._function = function
        self._secrets = secrets
        self._file = file_of(function)

    def __call__(self, *arguments: Any) -> Any:
        """Call it; raise `CallFailed` for whatever it raises.

        Nothing else may be waited for meanwhile: a time limit of the engine's own would count as the function's.
        """
        try:
            return self._function(*arguments)
        except BaseException as error:  # noqa: BLE001 - an author's function may raise anything, GreenletExit, say
            outcome = outcome_of_call(error, self._file, self._secrets)
            failure = outcome.failure or Failure(type(error).__name__, "")
            message = f"{self._field}: {failure.message}"
            # It makes no requests: whatever it raises is a mistake of its own, which another attempt repeats.
            raise CallFailed(Outcome(Kind.ERROR, failure=replace(failure, message=message))) from None

    def refused(self, problem: str) -> CallFailed:
        """Return the error of a call that has returned what can't be used."""
        text = f"{self._field}: {describe(self._function)} {problem}"
        return CallFailed(Outcome(Kind.ERROR, failure=Failure("UnusableReturn", text)))


def file_of(function: Callable[..., Any]) -> str | None:
    """Return the file that a function is written in; `None` for one of C's."""
    code = getattr(inner(function), "__code__", None)
    return code.co_filename if code else None


def outcome_of_call(error: BaseException, file: str | None, secrets: Secrets) -> Outcome:
    """Return the outcome that an exception of an author's function stands for, without the connection's secrets.

    :param file: the function's, to say at which line it failed.
    """
    try:
        if isinstance(error, gevent.Timeout):
            return Outcome(Kind.TIMEOUT, failure=Failure("Timeout", f"a time limit of the function's own: {error}"))
        outcome = outcome_of(error, author=file)
        if outcome.failure is None:
            return outcome
        # An author may put anything into an exception: the session's headers, say.
        return replace(outcome, failure=replace(outcome.failure, message=secrets.hide(outcome.failure.message)))
    except BaseException:  # noqa: BLE001 - to look at an exception may run its author's code
        return Outcome(Kind.ERROR, failure=Failure("Exception", "the function's exception could not be read"))
