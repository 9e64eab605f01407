"""What people read of a failure: nothing that a server or an author wrote, since that may quote an answer or a token.

The journal has all of it.
"""

from __future__ import annotations

from http.client import responses

from airflow_fanout.codec import Json
from airflow_fanout.masking import scrub
from airflow_fanout.model.outcome import Failure, Kind

# What the engine itself says of a function. Any other error of a function has its author's text, or a library's.
OUR_FAILURES = frozenset({"NotJson", "EngineEnded", "ForkRefused", "AsyncioRefused", "CodeChanged", "ImportError"})
# How retry.py goes on about a status.
PAUSE = "; the API asked us to wait"


def words_of(failure: Failure, *, kind: Kind, status: int | None, parameter: Json = None) -> str:
    """Return a failure's message for a log or an alert, with the parameter's values masked."""
    if kind is Kind.HTTP_ERROR:
        _, pause, rest = failure.message.partition(PAUSE)
        # A status has its own phrase (RFC 9110, section 15), whatever the server has written there.
        return f"HTTP {status} {responses.get(status or 0, '')}".rstrip() + pause + rest
    if kind is Kind.API_ERROR:
        return "the answer's body says that the request has failed (the journal has its text)"
    if kind is Kind.ERROR and failure.where and failure.type not in OUR_FAILURES:
        return f"at {failure.where} (the journal has its text)"
    return scrub(failure.message, parameter)
