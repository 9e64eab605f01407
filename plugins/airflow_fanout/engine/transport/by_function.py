"""An author's function as a transport: `fetch(session, …parameter…) -> result | None`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent

from airflow_fanout import codec, parameter
from airflow_fanout.codec import Json
from airflow_fanout.engine.transport import timed_out
from airflow_fanout.failures import outcome_of
from airflow_fanout.outcome import Failure, Kind, Outcome

if TYPE_CHECKING:
    from airflow_fanout.session import FanoutSession


class FunctionTransport:
    """Calls the function with the shared session; whatever it does becomes one outcome."""

    # A function that changes something on the server says so by being tried once: Retry(attempts=1).
    repeatable = True

    def __init__(self, session: FanoutSession, function: Callable[..., Any], total_s: float) -> None:
        self._session = session
        self._function = function
        self._total_s = total_s
        code = getattr(inspect.unwrap(getattr(function, "func", function)), "__code__", None)
        self._file = code.co_filename if code else None

    def fetch(self, value: Json) -> Outcome:
        """Make one try."""
        args, kwargs = parameter.arguments(value)
        try:
            with gevent.Timeout(self._total_s) as timeout:
                result = self._function(self._session, *args, **kwargs)
                outcome = _outcome(list(result) if inspect.isgenerator(result) else result)
                # A bare `except:` in the function may have swallowed the timeout and gone on to something else.
                return outcome if timeout.pending else timed_out(self._total_s)
        except gevent.Timeout:
            return timed_out(self._total_s)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an author's function may raise anything
            return outcome_of(error, author=self._file)
        finally:
            self._session.close_streams()


def _outcome(result: object) -> Outcome:
    if result is None:
        return Outcome(Kind.NULL)
    try:
        return Outcome(Kind.OK, result=codec.plain(result))
    except codec.NotJson as error:
        return Outcome(Kind.ERROR, failure=Failure("NotJson", f"the function's result isn't JSON: {error}"))
