"""An author's function as a transport: `fetch(session, …parameter…) -> result | None`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
from greenlet import greenlet

from airflow_fanout import codec, parameter
from airflow_fanout.codec import Json
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.engine.transport.unjson import hint
from airflow_fanout.failures import outcome_of
from airflow_fanout.outcome import Failure, Kind, Outcome

if TYPE_CHECKING:
    from airflow_fanout.session import FanoutSession


class _Limit(gevent.Timeout):  # type: ignore[misc] # gevent has no type hints
    """A time limit that knows whether it has struck; gevent's own counts as pending until its callback is over."""

    has_struck = False

    def _on_expiration(self, prev_greenlet: Any, ex: BaseException) -> None:
        self.has_struck = True
        super()._on_expiration(prev_greenlet, ex)


class FunctionTransport:
    """Calls the function with the shared session; whatever it does becomes one outcome."""

    # A function that changes something on the server says so by being tried once: Retry(attempts=1).
    repeatable = True

    def __init__(self, session: FanoutSession, function: Callable[..., Any], total_s: float) -> None:
        self._session = session
        self._function = function
        self._total_s = total_s
        self._process = os.getpid()
        code = getattr(inspect.unwrap(getattr(function, "func", function)), "__code__", None)
        self._file = code.co_filename if code else None

    def fetch(self, value: Json) -> Outcome:
        """Make one try, in a greenlet of its own.

        What a call leaves behind (a kill or a time limit that strikes later) is bound to its greenlet, so it can't
        strike the call of another parameter.
        """
        call = greenlet(self._call)
        try:
            outcome: Outcome = call.switch(value)
            return outcome
        except BaseException:
            # The pool gives up: so does the call.
            call.throw()
            raise
        finally:
            if call.dead:
                # What is thrown into a dead greenlet is raised in its parent: the hub prints it, and goes on.
                call.parent = gevent.get_hub()

    def _call(self, value: Json) -> Outcome:
        try:
            return self._outcome(value)
        finally:
            if os.getpid() != self._process:
                # The function has forked the engine, by whatever way, and its copy has come back from the call.
                os._exit(os.EX_SOFTWARE)
            self._session.close_streams()

    def _outcome(self, value: Json) -> Outcome:
        args, kwargs = parameter.arguments(value)
        limit = _Limit(self._total_s)
        limit.start()
        try:
            result = self._function(self._session, *args, **kwargs)
            outcome = _outcome(list(result) if inspect.isgenerator(result) else result)
            # A bare `except:` in the function may have swallowed the timeout and gone on to something else.
            return timed_out(self._total_s) if limit.has_struck else outcome
        except BaseException as error:  # noqa: BLE001 - an author's function may raise anything, GreenletExit, say
            # Whatever it has made of the timeout, there was none of its time left.
            return timed_out(self._total_s) if limit.has_struck else self._failed(error)
        finally:
            limit.close()

    def _failed(self, error: BaseException) -> Outcome:
        try:
            if isinstance(error, gevent.Timeout):
                return Outcome(Kind.TIMEOUT, failure=Failure("Timeout", f"a time limit of the function's own: {error}"))
            return outcome_of(error, author=self._file)
        except BaseException:  # noqa: BLE001 - to look at an exception may run its author's code
            return Outcome(Kind.ERROR, failure=Failure("Exception", "the function's exception could not be read"))


def _outcome(result: object) -> Outcome:
    if result is None:
        return Outcome(Kind.NULL)
    try:
        return Outcome(Kind.OK, result=codec.plain(result))
    except codec.NotJson as error:
        text = f"the function's result isn't JSON: {hint(result) or error}"
        return Outcome(Kind.ERROR, failure=Failure("NotJson", text))
