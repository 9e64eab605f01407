"""The bodies of answers as JSON values, by the form that a request says they have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from airflow_fanout import codec
from airflow_fanout.api.answers import Csv, Form, Xml
from airflow_fanout.codec import Json
from airflow_fanout.engine.transport.authors import RequestFunction
from airflow_fanout.engine.transport.unjson import hint
from airflow_fanout.privacy.redaction import Secrets
from airflow_fanout.wire.body import BadBody, read_json
from airflow_fanout.wire.coding import GZIP_MAGIC, BadCoding, decoded
from airflow_fanout.wire.markup import read_xml
from airflow_fanout.wire.tables import read_csv, read_json_lines

# Returns the value of a body, from its bytes and its charset.
Parse = Callable[[bytes, str | None], Json]


class BodyTooLong(ValueError):
    """A body that is larger than allowed once it is decompressed."""


def parser_of(form: Form, most: int, secrets: Secrets) -> Parse:
    """Return what reads bodies of a form, also those that are files compressed by gzip.

    What it returns raises `NotJson` or `BadBody` for a body that can't be read, `BodyTooLong` for one of more than
    `most` bytes, and `CallFailed` when the author's function fails.
    """
    parse = _parse(form, secrets)

    def parsed(body: bytes, charset: str | None) -> Json:
        return parse(_without_gzip(body, most) if body.startswith(GZIP_MAGIC) else body, charset)

    return parsed


def _parse(form: Form, secrets: Secrets) -> Parse:
    if callable(form):
        return _by_function(RequestFunction("parse", form, secrets))
    form = {"csv": Csv(), "xml": Xml()}.get(form, form) if isinstance(form, str) else form
    if isinstance(form, Csv):
        return partial(read_csv, delimiter=form.delimiter, quote=form.quote, columns=form.columns)
    if isinstance(form, Xml):
        return partial(read_xml, lists=form.lists)
    return read_json_lines if form == "jsonl" else read_json


def _by_function(function: RequestFunction) -> Parse:
    def parse(body: bytes, _charset: str | None) -> Json:
        value = function(body)
        try:
            return codec.plain(value)
        except codec.NotJson as error:
            raise function.refused(f"returned what isn't JSON: {hint(value) or error}") from None

    return parse


def _without_gzip(body: bytes, most: int) -> bytes:
    try:
        whole = decoded("gzip", body, most)
    except BadCoding as error:
        raise BadBody("it begins like a file of gzip, and isn't one, or not all of one") from error
    if whole is None:
        raise BodyTooLong(f"the answer is larger than {most:,} bytes (max_body_bytes) once it is decompressed")
    return whole
