"""How a report's documents are made, and what tells them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.mongo.modes import DATE_FIELD, whole_key
from airflow_fanout.mongo.types import Date, TypeName

DocumentOf = Callable[[Json, Json], Mapping[str, Any] | Iterable[Mapping[str, Any]] | None]


def parameter_and_result(value: Json, result: Json) -> dict[str, Any]:
    """Return the document that a report gets without a function of its own: the parameter's fields, and `result`."""
    fields = value if isinstance(value, dict) else {"parameter": value}
    return {**fields, "result": result}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How a report's documents are made and told apart.

    :param key: the fields that tell one document of a run from another.
    :param as_of: the run's one date, which each document gets.
    :param as_of_field: the name of the field for it, which is part of the key; `None` if the date isn't part of it.
    :param document: makes zero, one or several documents of a parameter and its result.
    :param types: what becomes of the values at the ends of these paths.
    """

    key: tuple[str, ...]
    as_of: datetime
    as_of_field: str | None = "as_of"
    document: DocumentOf
    types: Mapping[tuple[str, ...], TypeName | Date] = {}

    def __post_init__(self) -> None:
        for field, name in (("as_of_field", self.date_field), *(("key", name) for name in self.key)):
            if name == "_id" or not name.isidentifier():
                raise BadSetting(field, name, "a field's name, such as 'tel'; `_id` is MongoDB's own")

    @property
    def whole_key(self) -> tuple[str, ...]:
        """The fields that find one document of the collection: the date first, if it is part of the key."""
        return whole_key(self.as_of_field, self.key)

    @property
    def date_field(self) -> str:
        """The field for the run's date, be it part of the key or not."""
        return DATE_FIELD if self.as_of_field is None else self.as_of_field
