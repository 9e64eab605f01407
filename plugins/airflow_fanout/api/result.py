"""Which part of an answer is the result."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import mask

# An answer keyed by its own data may have any number of fields.
MOST_NAMED = 20
_MOST_KEPT = 1_000

# What a program calls a field. A number of four digits in it, a space, or an @ inside may be somebody's data.
_WORD = re.compile(r"(?!.*\d{4})[@$#]?[^\W\d][\w.:/-]{0,60}", re.ASCII)

# A dotted path such as "data.calls", or the names one by one where a name has a dot: ("@odata.nextLink",).
Path = str | Sequence[str]


class PartMissing(ValueError):
    """The answer doesn't have the field that the report asks for; the message names the fields that it has.

    `names` is the path that would lead somewhere if a dotted name was meant as one name, else empty.
    """

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names


class ResultPath:
    """A path into an answer: `data.calls`, `items.0` into a list, `("@odata.nextLink",)`; without one, all of it."""

    def __init__(self, path: Path | None, *, empty_is_null: bool = False) -> None:
        self._steps = steps_of(path)
        self._empty_is_null = empty_is_null

    def of(self, answer: Json) -> Json:
        """Return the part; `None` for null, and for an empty list, object or text if those count as null.

        :raises PartMissing: when a step of the path isn't there. A null on the way is a null result.
        """
        whole = answer
        for step in self._steps:
            try:
                answer = answer[step]
            except (LookupError, TypeError):
                answer = self._step(whole, answer, step)
        return None if self._empty_is_null and answer in ([], {}, "") else answer

    def _step(self, whole: Json, answer: Json, step: str) -> Json:
        if answer is None:
            return None
        if isinstance(answer, list) and step.isdecimal() and int(step) < len(answer):
            return answer[int(step)]
        names = _undotted(whole, self._steps)
        hint = f"; a name with a dot in it is written as a tuple: {names!r}" if names else ""
        if not isinstance(answer, dict):
            raise PartMissing(f"the answer has no field {step!r}: it is of type {type(answer).__name__}{hint}", names)
        raise PartMissing(f"the answer has no field {step!r}; it has: {named(answer)}{hint}", names)


class Absence:
    """Whether a path leads to anything in many answers, and what they have in its place if it never does.

    An answer with nothing in it, or with null on the way, or with a list that is too short, says nothing about it.
    """

    def __init__(self, path: Path) -> None:
        self._steps = steps_of(path)
        self._count = 0
        self._fields: set[str] = set()
        self._types: set[str] = set()
        self._hint = ""
        self.is_known = False

    def look(self, answer: Json) -> None:
        """Look at an answer."""
        part = answer
        for step in self._steps:
            if isinstance(part, dict) and step in part:
                part = part[step]
            elif part is None or part in ([], {}, ""):
                return
            elif isinstance(part, list) and step.isdecimal():
                if int(step) >= len(part):
                    return
                part = part[int(step)]
            else:
                self._note(answer, part)
                return
        self.is_known = True

    def _note(self, answer: Json, part: Json) -> None:
        self._count += 1
        if not isinstance(part, dict):
            self._types.add(type(part).__name__)
        elif len(self._fields) < _MOST_KEPT:
            self._fields.update(part)
            if names := _undotted(answer, self._steps):
                self._hint = f". A name with a dot in it is written as a tuple: {names!r}"

    def __str__(self) -> str:
        """Return what the answers have where the path ends; nothing if it leads somewhere, or none could say."""
        if self.is_known or not self._count:
            return ""
        fields = f"the fields that are there: {named(sorted(self._fields))}" if self._fields else ""
        types = f"what is there is of type {', '.join(sorted(self._types))}" if self._types else ""
        return "; ".join(filter(None, (fields, types))) + self._hint


def steps_of(path: Path | None) -> tuple[str, ...]:
    """Return the names that a path goes through."""
    if isinstance(path, str):
        return tuple(path.split(".")) if path else ()
    return tuple(path or ())


def check_path(field: str, path: object) -> None:
    """Check that a value is a path: a text, or a tuple or list of texts.

    :param field: the argument that is checked, for the error.
    :raises BadSetting: for anything else.
    """
    names = path.split(".") if isinstance(path, str) else path
    if not isinstance(names, tuple | list) or not names or not all(isinstance(name, str) and name for name in names):
        expected = 'a dotted path such as "data.calls", or a tuple where a name has a dot: ("@odata.nextLink",)'
        raise BadSetting(field, path, expected)


def shown(path: Path) -> str:
    """Return a path for people: dotted, or as a tuple where that would be another path."""
    return repr(path) if isinstance(path, str) else repr(tuple(path))


def named(names: Sequence[str] | dict[str, Json]) -> str:
    """Return the names of fields or headers for a message, without their values.

    They are the API's own words; where an answer is keyed by its own data, such as telephone numbers, they are masked.
    """
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    words = [name if _WORD.fullmatch(name) else mask(name) for name in sorted(names)[:MOST_NAMED]]
    return (", ".join(words) or "none") + more


def _undotted(whole: Json, steps: tuple[str, ...]) -> tuple[str, ...]:
    """Return the path through the names that an answer really has, if some of them have dots; else nothing."""
    if not steps:
        return ()
    if not isinstance(whole, dict):
        return ()
    for size in range(len(steps), 0, -1):
        name = ".".join(steps[:size])
        if name in whole:
            rest = _undotted(whole[name], steps[size:])
            if rest or size == len(steps):
                return (name, *rest)
    return ()
