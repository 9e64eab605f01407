"""What people read of a failure: nothing that a server or an author wrote, since that may quote an answer or a token.

The journal has all of it.
"""

from __future__ import annotations

import re
from http.client import responses

from airflow_fanout.codec import Json
from airflow_fanout.masking import scrub
from airflow_fanout.model.outcome import Failure, Kind

# What the engine itself says of a function. Any other error of a function has its author's text, or a library's.
OUR_FAILURES = frozenset(
    {"NotJson", "EngineEnded", "ForkRefused", "AsyncioRefused", "CodeChanged", "ImportError", "JobFailed"}
)
# How retry.py goes on about a status, and how the engine goes on about a job.
PAUSE = "; the API asked us to wait"
JOB_MAY_EXIST = ". A job may exist"
# How the engine begins, where a parameter has several requests.
_STEP = re.compile(r"(?:page [0-9]+|creating the job|asking about the job|fetching the job's result): ")


def words_of(failure: Failure, *, kind: Kind, status: int | None, parameter: Json = None) -> str:
    """Return a failure's message for a log or an alert, with the parameter's values masked."""
    step = begins[0] if (begins := _STEP.match(failure.message)) else ""
    if kind is Kind.HTTP_ERROR:
        ours = next((words for words in (PAUSE, JOB_MAY_EXIST) if words in failure.message), "")
        rest = failure.message.partition(ours)[2] if ours else ""
        # A status has its own phrase (RFC 9110, section 15), whatever the server has written there.
        return f"{step}HTTP {status} {responses.get(status or 0, '')}".rstrip() + ours + rest
    if kind is Kind.API_ERROR and failure.type not in OUR_FAILURES:
        return f"{step}the answer's body says that the request has failed (the journal has its text)"
    if kind is Kind.ERROR and failure.where and failure.type not in OUR_FAILURES:
        return f"at {failure.where} (the journal has its text)"
    return scrub(failure.message, parameter)
