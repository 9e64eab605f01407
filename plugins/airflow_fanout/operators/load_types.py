"""The types of a load's documents, checked while its DAG file is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_fanout.mongo.modes import DATE_FIELD
from airflow_fanout.preflight.arguments import check_written

if TYPE_CHECKING:
    from airflow_fanout.mongo.types import Date, TypeName, Types


def checked_types(
    types: Types, as_of_field: str | None, written: Sequence[str] | None
) -> Mapping[tuple[str, ...], TypeName | Date]:
    """Return the types by the steps of their paths.

    :param as_of_field: the field of the run's date, whose type is load's own.
    :param written: the names of the parameters' fields if the documents are written without a function, else `None`.
    :raises BadSetting: for a type that doesn't exist, and for a field that such a document doesn't have.
    """
    if not types and isinstance(types, dict):
        return {}
    # A load without types doesn't load it.
    from airflow_fanout.mongo.types import check_types

    steps = check_types(types, as_of_field or DATE_FIELD)
    if written is not None:
        check_written("types", [path[0] for path in steps], written)
    return steps
