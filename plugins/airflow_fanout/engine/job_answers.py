"""What stands in the answers about a job, and why one can't be created."""

from __future__ import annotations

from urllib.parse import urljoin

from airflow_fanout import codec
from airflow_fanout.api.address import BadAddress, check_text, origin_of
from airflow_fanout.api.page import FieldOrHeader, Header
from airflow_fanout.api.result import PartMissing, ResultPath, named
from airflow_fanout.codec import Json
from airflow_fanout.engine.steps import RawAnswer
from airflow_fanout.wire.body import charset_of, read_json


class JobUnknown(ValueError):
    """A job may exist, and nobody knows which."""

    def __str__(self) -> str:
        return (
            "a job may exist for this parameter: an earlier attempt may have been sent, and its answer is unknown. The "
            "job wasn't created again, because the request has no idempotency key. Look at the API's jobs. If a second "
            "job does no harm, set repeatable=True or idempotency_header in the Request, and clear this task"
        )


class TryOvertaken(ValueError):
    """A later try of the task has begun: it creates the jobs."""

    def __str__(self) -> str:
        return "a later try of this task has begun, so the job wasn't created by this one"


def value_of(answer: RawAnswer, place: FieldOrHeader) -> Json:
    """Return what stands in an answer; raise `PartMissing` or `NotJson`."""
    if isinstance(place, Header):
        if (value := answer.headers.get(place.name)) is None:
            raise PartMissing(f"the answer has no header {place.name!r}; it has: {named(list(answer.headers))}")
        return value.strip()
    return ResultPath(place).of(read_json(answer.body, charset_of(answer.headers.get("Content-Type"))))


def address_of(value: Json, base: str) -> str:
    """Return a whole address; raise `BadAddress` for what is none."""
    if not isinstance(value, str) or not value:
        raise BadAddress(f"the address is of type {type(value).__name__}")
    check_text(value)
    address = urljoin(base, value)
    origin_of(address)
    return address


def shown(status: Json) -> str:
    """Return the status of a job for people: a word is the API's own, anything else may be somebody's data."""
    if isinstance(status, str):
        return named([status])
    return f"of type {type(status).__name__}" if isinstance(status, dict | list) else codec.encode(status).decode()
