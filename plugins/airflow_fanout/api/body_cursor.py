"""A cursor that goes into the JSON body of a request, as GraphQL and search APIs want it."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_fanout import codec
from airflow_fanout.api.result import Path, check_path, steps_of
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting


def check_body_cursor(in_body: Path, body: Json, idempotency_header: str | None) -> None:
    """Raise `BadSetting` unless a cursor can stand at a path of a request's JSON body.

    :param in_body: where it goes to.
    :param body: the body as it is written, without a cursor or with one for the first page.
    :param idempotency_header: the header of the request's key, which is the same for all pages of a parameter.
    """
    check_path("Cursor.in_body", in_body)
    if not isinstance(body, Mapping):
        raise BadSetting("Cursor.in_body", in_body, "a path in the request's body, which has to be an object: json={…}")
    if idempotency_header is not None:
        reason = "all pages would have the same key. Reading changes nothing, so write repeatable=True instead"
        raise BadSetting("idempotency_header", idempotency_header, f"none besides Cursor(in_body=…): {reason}")
    *outer, _ = steps_of(in_body)
    for number, name in enumerate(outer, 1):
        body = body.get(name, {})
        if not isinstance(body, Mapping):
            place = ".".join(outer[:number])
            raise BadSetting("Cursor.in_body", in_body, f"a path through objects: {place} of json isn't one")


def with_cursor(body: bytes, in_body: Path, cursor: Json) -> bytes:
    """Return a JSON body with a cursor at a path; objects on the way that aren't there are added."""
    whole = codec.decode_known(body)
    *outer, last = steps_of(in_body)
    place = whole
    for name in outer:
        place = place.setdefault(name, {})
    place[last] = cursor
    return codec.encode(whole)
