"""Texts with `{name}` fields, filled from a parameter: the small language of declarative requests.

`str.format` is more than is wanted here: it reads attributes and items of what it is given. And its escape for a
brace, two of them, begins a template of Airflow's, so here it is a backslash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from airflow_fanout import codec
from airflow_fanout.api.errors import BadTemplate, UnknownField
from airflow_fanout.codec import Json

# A Python identifier, as `names` has them, or a place.
_FIELD = re.compile(r"\{([^\W\d]\w*|[0-9]+)\}")
# A backslash means something before a brace only: elsewhere it is what it is, in a path of Windows, say.
_BRACE = re.compile(r"(\\*)([{}])")


class Template(msgspec.Struct, frozen=True):
    r"""A text cut at its fields: literals and field names take turns, beginning and ending with a literal.

    `\{` and `\}` are braces of the text's own, and `\\` before a brace is a backslash.

    :raises BadTemplate: for any other brace that isn't part of a field.
    """

    text: str
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts, literal, end = [], "", 0
        while brace := _BRACE.search(self.text, end):
            backslashes = len(brace[1])
            literal += self.text[end : brace.start()] + "\\" * (backslashes // 2)
            if backslashes % 2:
                literal, end = literal + brace[2], brace.end()
            elif field := _FIELD.match(self.text, brace.start(2)):
                parts += [literal, field[1]]
                literal, end = "", field.end()
            else:
                raise BadTemplate(self.text, "has a brace that isn't part of a field")
        force_setattr(self, "parts", (*parts, literal + self.text[end:]))

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


def with_escaped_braces(text: str) -> str:
    """Return a text in which no brace begins a field."""
    return _BRACE.sub(lambda brace: f"{brace[1] * 2}\\{brace[2]}", text)


def escaped(text: str) -> str:
    """Return a text in which no brace begins a field, nor a comment of Airflow's templates."""
    # A brace and a # together would begin such a comment, with a backslash before them, too.
    return with_escaped_braces(text).replace("{#", "{ #")


def text_of(value: Json) -> str:
    """Return a value as text, as JSON writes it: Python's own `True` is no API's word."""
    return value if isinstance(value, str) else codec.encode(value).decode()


# Fills in a parameter's values by their names, or those of each parameter of a batch.
Fill = Callable[[Any], Json]


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
        always = _literal(value)
        return lambda _values: always
    if isinstance(value, str):
        template = Template(value)
        return itemgetter(*template.fields) if template.literals == ("", "") else template.filler()
    if isinstance(value, Mapping):
        named = [(name, _filler(branch)) for name, branch in value.items()]
        return lambda values: {name: fill(values) for name, fill in named}
    branches = [_filler(branch) for branch in value]
    return lambda values: [fill(values) for fill in branches]


def _literal(value: Json) -> Json:
    """Return a value without fields as it is sent: its texts may have escaped braces."""
    if isinstance(value, str):
        return "".join(Template(value).literals)
    if isinstance(value, Mapping):
        return {name: _literal(branch) for name, branch in value.items()}
    return [_literal(branch) for branch in value] if isinstance(value, list | tuple) else value


def check_fields(where: str, used: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Check that the parameters have the fields that a request uses.

    :param where: the part of the request, for the error.
    :raises UnknownField: for the first field that they don't have.
    """
    for name in used:
        if name not in known:
            raise UnknownField(where, name, known)
