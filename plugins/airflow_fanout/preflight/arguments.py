"""What an operator's arguments must be, as far as their values say it: a mistake is found at parse time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from airflow_fanout import codec
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import KindOf
from airflow_fanout.model.parameter import check_names
from airflow_fanout.model.rendered import whole_number
from airflow_fanout.mongo.modes import DATE_FIELD
from airflow_fanout.preflight.templates import is_template


def is_resolved_later(value: object) -> bool:
    """Tell whether a value stands for one that is known when the task runs: an XCom, an argument of a mapped group."""
    return hasattr(value, "resolve")


def is_given_later(value: object) -> bool:
    """Tell whether a value is known when the task runs only, because a template or another task gives it."""
    return is_resolved_later(value) or (isinstance(value, str) and is_template(value))


def check_text(field: str, value: object, example: str, *, templated: bool = False) -> None:
    """Raise `BadSetting` unless the value is a text with something in it.

    :param templated: whether Airflow renders templates in it, and another task's XCom may give it.
    """
    if templated and is_resolved_later(value):
        return
    if not isinstance(value, str) or not value.strip():
        shown = value if isinstance(value, str | int | float | None) else KindOf(value)
        raise BadSetting(field, shown, f"a text, such as {example!r}")
    if not templated and is_template(value):
        raise BadSetting(field, value, f"a text such as {example!r}: Airflow renders no template in it")


def check_rendered(field: str, value: object, read: Callable[[str, Any], object] = whole_number) -> None:
    """Raise `BadSetting` unless a value can be read, or is a template that may give such a value.

    :param read: how the task reads what is rendered: as a whole number from 1 on, or as a switch (`is_yes`).
    """
    if not is_given_later(value):
        read(field, value)


def check_only(value: Any) -> Any:
    """Return a selection; raise `BadSetting`, which shows no value, unless it is a list, or a template of one."""
    is_right = isinstance(value, list | tuple | set | frozenset | None) or is_given_later(value)
    if isinstance(value, str) and not is_right:
        # The list as JSON, as a template would give it; nothing stands for an empty one.
        with suppress(codec.NotJson):
            is_right = isinstance(codec.decode(value or "[]"), list | None)
    if not is_right:
        raise BadSetting("only", KindOf(value), "a list of parameters, or a template: {{ params.only | tojson }}")
    return () if value is None else value


def check_key(key: object, as_of_field: object) -> tuple[str, ...]:
    """Return the key of a load; raise `BadSetting` unless it and the date's field are names that can stand together."""
    names = check_names(key, "key")  # type: ignore[arg-type] # what it is, is what is checked
    if not names:
        raise BadSetting("key", key, 'the fields that identify a document, such as ("tel",)')
    if as_of_field is not None and not (isinstance(as_of_field, str) and as_of_field.isidentifier()):
        raise BadSetting("as_of_field", as_of_field, "a field's name, such as 'as_of', or None")
    for field, name in (("as_of_field", as_of_field), *(("key", name) for name in names)):
        if name == "_id":
            raise BadSetting(field, name, "another field: `_id` is MongoDB's own")
    if as_of_field in names:
        raise BadSetting("key", names, f"a key without {as_of_field!r}, which is part of it anyway")
    if as_of_field is None and DATE_FIELD in names:
        dated = f"a key without {DATE_FIELD!r}, or as_of_field={DATE_FIELD!r}, which puts the run's date into the key"
        raise BadSetting("key", names, dated)
    return names


def check_written(field: str, fields: Sequence[str], names: Sequence[str], as_of_field: str | None = None) -> None:
    """Check the fields that a load without a `document` takes for its key, or for its types.

    :param names: those of the parameters; none if they aren't known.
    :raises WrongArgument: for a field that isn't among them.
    """
    from airflow_fanout.preflight.fields import unnamed

    for problem in unnamed(field, fields, dict.fromkeys(names), as_of_field) if names else ():
        raise wrong(field, fields, problem)


def wrong(field: str, value: object, problem: str) -> BadSetting:
    """Return the error of an argument that can't work, for a reason that takes a sentence."""
    # A DAG file whose arguments are right doesn't load it.
    from airflow_fanout.preflight.errors import WrongArgument

    return WrongArgument(field, value, problem)
