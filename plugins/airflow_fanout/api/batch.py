"""Many parameters in one request, as an author writes it: how many, and how the answer is divided among them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import convert

from airflow_fanout.api.errors import BadTemplate
from airflow_fanout.api.result import Path, check_path
from airflow_fanout.api.template import Template
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared
from airflow_fanout.model.settings import check_statuses, check_whole

# What says that the content of a request is wrong or too much, whoever sends it and whenever (RFC 9110, 15.5).
REFUSED = (400, 413, 422)
# What Airflow renders before anything is sent.
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


class Batch(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to `size` parameters in one request. Without `by` and `keyed_by`, the first item is the first parameter's.

    :param size: the most parameters in one request.
    :param by: which parameter an item of the answer belongs to: the name of a field that both have, or the fields of
        the parameter by their paths in the item (`{"customer.id": "id"}`).
    :param keyed_by: the items are no list but an object, whose keys are this field of the parameters.
    :param item: which part of an item is the parameter's result; all of it if not given.
    :param missing: what a parameter is that the answer has no item for: `"null"` or `"invalid"`.
    :param refused_statuses: the statuses that say that something in the batch is wrong: it is divided to find what.
    """

    size: int
    by: str | Mapping[str, str] | None = None
    keyed_by: str | None = None
    item: Path | None = None
    missing: Literal["null", "invalid"] | None = None
    refused_statuses: Sequence[int] = REFUSED

    def __post_init__(self) -> None:
        check_whole("Batch(size)", self.size, least=2)
        is_mapping = isinstance(self.by, Mapping) and bool(self.by)
        if self.by is not None and not is_mapping and not (isinstance(self.by, str) and self.by):
            raise BadSetting("Batch(by)", self.by, 'a field such as "id", or {"customer.id": "id"}')
        for path in self.fields_by_path:
            check_path("Batch(by)", path)
        if self.by is not None and self.keyed_by is not None:
            raise BadSetting("Batch(keyed_by)", self.keyed_by, "nothing besides `by`")
        if self.item is not None:
            check_path("Batch(item)", self.item)
        check_statuses("Batch(refused_statuses)", self.refused_statuses)
        if self.fields and self.missing not in ("null", "invalid"):
            expected = '"null" or "invalid": what a parameter is that the answer has no item for'
            raise BadSetting("Batch(missing)", self.missing, expected)
        if not self.fields and self.missing is not None:
            expected = "nothing without `by` or `keyed_by`: by position, each parameter must have its item"
            raise BadSetting("Batch(missing)", self.missing, expected)

    @property
    def fields_by_path(self) -> Mapping[str, str]:
        """The fields that say which parameter an item belongs to, by their paths in the item."""
        return {self.by: self.by} if isinstance(self.by, str) else self.by or {}

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the parameters by which their items are found; none if that is by position."""
        return (self.keyed_by,) if self.keyed_by is not None else tuple(self.fields_by_path.values())


# A `Batch`, or its size alone. (What was rendered is plain JSON.)
Batching: TypeAlias = Any


def checked_batch(batch: Batching) -> Batch:
    """Return a batch, which may be written as its size, or may have travelled as JSON.

    :raises BadSetting: for what is none.
    """
    if isinstance(batch, Batch):
        return batch
    if isinstance(batch, Mapping):
        return convert(batch, Batch)
    if isinstance(batch, bool) or not isinstance(batch, int):
        raise BadSetting("batch", batch, 'a number of parameters, or Batch(size=50, by="id", missing="null")')
    return Batch(size=batch)


def check_batch_texts(endpoint: str, query: Json, headers: Json, json: Json, form: Json) -> None:
    """Raise `BadSetting` for a field in a place that holds one value only, and if no parameter has a place at all."""
    for where, value in (("headers", headers), ("json", json)):
        for text in _unrepeated(value):
            if _has_field(text):
                expected = "no field outside of a list of one element, which is repeated for each parameter of a batch"
                raise BadSetting(where, text, f'{expected}: {{"ids": ["{{id}}"]}}' if where == "json" else expected)
    if not any(_has_field(text) for text in _texts([endpoint, query, json, form])):
        raise BadSetting("batch", endpoint, 'a request with a field of the parameters, such as json={"ids": ["{id}"]}')


def is_repeated(value: Json) -> bool:
    """Tell whether a value is repeated for each parameter of a batch: a list of one element with a field in it."""
    return isinstance(value, list | tuple) and len(value) == 1 and any(map(_has_field, _texts(value)))


def _unrepeated(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for branch in value.values():
            yield from _unrepeated(branch)
    elif isinstance(value, list | tuple) and not is_repeated(value):
        for branch in value:
            yield from _unrepeated(branch)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for branch in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(branch)


def _has_field(text: str) -> bool:
    for written in (text, _JINJA.sub("", text)):
        try:
            return bool(Template(written).fields)
        except BadTemplate:
            # Whoever reads all texts of the request says what is wrong with it.
            continue
    return False
