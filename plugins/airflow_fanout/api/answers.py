"""What an author says of answers: the form of their bodies, and which of them say that they have failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import convert

from airflow_fanout.api.result import check_path
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared

# A path to a field, the values of fields by their paths, or a function of the decoded body. The type checker can't
# tell a path from another text, and msgspec can't read a function.
Condition: TypeAlias = Any

_EXPECTED = (
    'a path to a field ("error"), the values of fields ({"status": ["error", "failed"]}), or a function of the body'
)
NAMES = ("json", "jsonl", "csv", "xml")


class Csv(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="csv", tag_field="type"):
    """A table of delimited texts (RFC 4180): a list of objects, one for each row, whose values are texts.

    :param delimiter: the sign between two values.
    :param quote: the sign around a value that has a delimiter, a line break or a quote in it; `None` for none.
    :param columns: the columns' names, for a table whose first row isn't its header.
    """

    delimiter: str = ","
    quote: str | None = '"'
    columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        for field, sign in (("delimiter", self.delimiter), ("quote", self.quote)):
            is_sign = isinstance(sign, str) and len(sign) == 1 and sign not in "\r\n\0"
            if not is_sign and not (field == "quote" and sign is None):
                raise BadSetting(f"Csv({field})", sign, "one character, such as ';'")
        if self.delimiter == self.quote:
            raise BadSetting("Csv(quote)", self.quote, "another character than the delimiter")
        _check_texts("Csv(columns)", self.columns, 'different names, such as ("tel", "day")')


class Xml(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="xml", tag_field="type"):
    """An XML document as objects, lists and texts.

    :param lists: the names of elements that are lists wherever they stand, also where there is only one of them.
    """

    lists: Sequence[str] = ()

    def __post_init__(self) -> None:
        _check_texts("Xml(lists)", self.lists, 'the names of elements, such as ("call",)')


def _check_texts(field: str, names: Sequence[str], expected: str) -> None:
    is_right = isinstance(names, list | tuple) and all(isinstance(name, str) and name for name in names)
    if not is_right or len(set(names)) < len(names):
        raise BadSetting(field, names, expected)


# One of `NAMES`, a form with its options, or a function of the body's bytes.
Form: TypeAlias = Any


def checked_form(form: Form) -> Form:
    """Return a form, which may have travelled as JSON.

    :raises BadSetting: for what is none.
    """
    if callable(form) or isinstance(form, Csv | Xml):
        return form
    if isinstance(form, Mapping) and form.get("type") in ("csv", "xml"):
        return convert(form, Csv | Xml)
    if not isinstance(form, str) or form not in NAMES:
        expected = f"{', '.join(map(repr, NAMES))}, Csv(…), Xml(…), or a function of the body's bytes"
        raise BadSetting("parse", form, expected)
    return form


def check_condition(field: str, condition: Condition) -> None:
    """Raise `BadSetting` for what isn't a condition."""
    if condition is None or callable(condition):
        return
    if not isinstance(condition, Mapping):
        try:
            check_path(field, condition)
        except BadSetting as error:
            raise BadSetting(field, condition, _EXPECTED) from error
        return
    is_right = all(isinstance(path, str) and path and _are_values(value) for path, value in condition.items())
    if not condition or not is_right:
        raise BadSetting(field, dict(condition), _EXPECTED)


def _are_values(expected: Json) -> bool:
    values = expected if isinstance(expected, list | tuple) else [expected]
    return bool(values) and all(isinstance(value, str | int | float | None) for value in values)
