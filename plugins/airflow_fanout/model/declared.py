"""What an author writes into a DAG file: a mistake in the names of its fields says which class, and which field."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import StructMeta


class _Named(StructMeta):
    def __call__(cls, *values: Any, **fields: Any) -> Any:  # noqa: N805 - the class of a class
        try:
            return super().__call__(*values, **fields)
        except TypeError as error:
            # What has a frame below this one was raised by a check of the class's own.
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:
                raise
            raise TypeError(_problem(cls, values, fields) or f"{cls.__name__}: {error}") from None


class Declared(msgspec.Struct, frozen=True, metaclass=_Named):
    """A value with fields that an author sets.

    :raises TypeError: for a field that it doesn't have, or that is missing.
    """


def _problem(declared: type[Any], values: tuple[Any, ...], named: dict[str, Any]) -> str | None:
    """Return what is wrong with the names that the fields are given by, if anything is."""
    name, fields = declared.__name__, msgspec.structs.fields(declared)
    unknown = [field for field in named if field not in {field.name for field in fields}]
    if unknown:
        return f"{name} has no field {unknown[0]!r}. Its fields are: {', '.join(field.name for field in fields)}."
    if values:
        return f"{name} has too many values without a name. Name them: {name}({fields[0].name}=…)."
    missing = [field.name for field in fields if field.required and field.name not in named]
    return f"{name} needs the field {missing[0]!r}." if missing else None
