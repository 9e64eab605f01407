"""Texts with `{name}` fields, filled from a parameter: the small language of declarative requests.

`str.format` is more than is wanted here: it reads attributes and items of what it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import itemgetter

import msgspec
from msgspec.structs import force_setattr

from airflow_fanout import codec
from airflow_fanout.api.errors import BadTemplate, UnknownField
from airflow_fanout.codec import Json

# A Python identifier, as `names` has them, or a place.
_FIELD = re.compile(r"\{([^\W\d]\w*|[0-9]+)\}")


class Template(msgspec.Struct, frozen=True):
    """A text cut at its fields: literals and field names take turns, beginning and ending with a literal."""

    text: str
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = tuple(_FIELD.split(self.text))
        if any(brace in literal for literal in parts[::2] for brace in "{}"):
            raise BadTemplate(self.text, "has a brace that isn't part of a field")
        force_setattr(self, "parts", parts)

    def __repr__(self) -> str:
        return f"Template(text={self.text!r})"

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return self.parts[1::2]

    @property
    def literals(self) -> tuple[str, ...]:
        """What stands between the fields."""
        return self.parts[::2]

    def filler(self, written: Callable[[Json], str] | None = None) -> Callable[[Mapping[str, Json]], str]:
        """Return a function that gives the text with each field replaced by its value.

        :param written: gives a value as it stands in the text; as JSON writes it if not given.
        """
        write = written or text_of
        if len(self.fields) == 1:
            # What most templates are, in the shortest way.
            before, name, after = self.parts
            return lambda values: before + write(values[name]) + after

        def fill(values: Mapping[str, Json]) -> str:
            filled = list(self.parts)
            filled[1::2] = [write(values[name]) for name in self.fields]
            return "".join(filled)

        return fill


def text_of(value: Json) -> str:
    """Return a value as text, as JSON writes it: Python's own `True` is no API's word."""
    return value if isinstance(value, str) else codec.encode(value).decode()


Fill = Callable[[Mapping[str, Json]], Json]


class Tree:
    """A JSON value whose strings are templates; a string that is one field keeps the value's own type.

    It is read once: what has no field in it isn't looked at again. `fill` returns the value with every field replaced;
    it is not to be changed.
    """

    def __init__(self, value: Json) -> None:
        self.fields = tuple(name for template in _templates(value) for name in template.fields)
        self.fill = _filler(value)


def _templates(value: Json) -> list[Template]:
    if isinstance(value, str):
        return [Template(value)]
    branches = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [template for branch in branches for template in _templates(branch)]


def _filler(value: Json) -> Fill:
    if not any(template.fields for template in _templates(value)):
        return lambda _values: value
    if isinstance(value, str):
        template = Template(value)
        return itemgetter(*template.fields) if template.literals == ("", "") else template.filler()
    if isinstance(value, Mapping):
        named = [(name, _filler(branch)) for name, branch in value.items()]
        return lambda values: {name: fill(values) for name, fill in named}
    branches = [_filler(branch) for branch in value]
    return lambda values: [fill(values) for fill in branches]


def check_fields(where: str, used: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise `UnknownField` for the first used field that the parameters don't have."""
    for name in used:
        if name not in known:
            raise UnknownField(where, name, known)
