"""Which fields of a row, or of a document, a parameter has, and which of them may be empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.parameter import check_names
from airflow_fanout.sources.errors import UnusableList
from airflow_fanout.sources.values import BadItem, to_json

# The names of the parameters' fields; or by these names, the column or the path of each in the source.
Fields = Sequence[str] | Mapping[str, str]
NO_VALUE = "has no value. Leave such rows out, or write nullable=({name!r},) if null is right"


class Wanted(msgspec.Struct, frozen=True):
    """What a parameter is made of.

    :param places: by field, its column or path in the source; empty for all that the source has.
    :param nullable: the fields that may be empty.
    """

    places: Mapping[str, str]
    nullable: frozenset[str]


def check_fields_wanted(fields: Any, nullable: Any) -> None:
    """Raise `BadSetting` unless these are names of fields, and those that may be empty are among them."""
    if isinstance(fields, Mapping):
        for name, place in fields.items():
            if not isinstance(place, str) or not place.strip():
                raise BadSetting(f"fields[{name!r}]", place, "the name of a column or a field, as a text")
    check_names(tuple(fields) if isinstance(fields, Mapping) else fields, "fields")
    check_names(nullable, "nullable")
    if fields and (unknown := [name for name in nullable if name not in fields]):
        raise BadSetting("nullable", unknown[0], f"one of the fields: {', '.join(fields)}")


def wanted(fields: Fields, nullable: Sequence[str], names: Sequence[str]) -> Wanted:
    """Return what a parameter is made of.

    :param names: the names that the report keeps of a parameter; they count for a source without `fields`.
    """
    places = dict(fields) if isinstance(fields, Mapping) else {name: name for name in fields or names}
    return Wanted(places, frozenset(nullable))


class RowReader:
    """Makes parameters of the rows of a table, which has known columns.

    :param source: what the source is called in errors.
    :raises UnusableList: if the table lacks a column, or has two of the same name.
    """

    def __init__(self, source: str, columns: Sequence[str], fields: Wanted) -> None:
        places = fields.places or {column: column for column in columns}
        names = ", ".join(map(repr, columns))
        for name, column in places.items():
            if (count := columns.count(column)) != 1:
                has = f"there are {count} columns {column!r}" if count else f"there is no column {column!r}"
                raise UnusableList(source, f"{has} for the field {name!r}; the columns are: {names}")
        if unknown := sorted(fields.nullable - places.keys()):
            raise UnusableList(source, f"nullable names {unknown[0]!r}, which is no field; the columns are: {names}")
        self._columns = [(name, columns.index(column), name in fields.nullable) for name, column in places.items()]

    def parameter(self, row: Sequence[Any]) -> dict[str, Json]:
        """Return the parameter of a row.

        :raises BadItem: when it lacks a value, or has one that a parameter can't hold.
        """
        parameter = {}
        for name, place, is_nullable in self._columns:
            parameter[name] = _field(name, row[place], is_nullable)
        return parameter


class DocumentReader:
    """Makes parameters of documents, each of which may have other fields than the one before it."""

    def __init__(self, fields: Wanted) -> None:
        self._nullable = fields.nullable
        self._paths = [(name, place.split("."), name in fields.nullable) for name, place in fields.places.items()]

    def parameter(self, document: Any) -> Json:
        """Return the parameter of a document; raise `BadItem` if it can't be one."""
        if document is None:
            raise BadItem("it is null")
        if not isinstance(document, Mapping):
            if self._paths and not isinstance(document, list):
                raise BadItem(f"it is no object, so it has no field {self._paths[0][0]!r}")
            return to_json(document)
        if not self._paths:
            return {name: _field(name, value, name in self._nullable) for name, value in document.items()}
        parameter = {}
        for name, path, is_nullable in self._paths:
            parameter[name] = _field(name, _at(document, path), is_nullable)
        return parameter


def _field(name: str, value: object, is_nullable: bool) -> Json:  # noqa: FBT001 - the loops of a million rows call it
    if value is None and not is_nullable:
        raise BadItem(f"the field {name!r} {NO_VALUE.format(name=name)}")
    try:
        return to_json(value)
    except BadItem as error:
        raise BadItem(f"the field {name!r} has {error}") from None


def _at(document: Any, path: Sequence[str]) -> Any:
    """Return what is at a path; `None` if nothing is."""
    for step in path:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document
