"""A parameter: one item of the list that a report fans out over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_fanout import codec
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.masking import mask
from airflow_fanout.model.errors import BadParameter

Names = Sequence[str]
# No parameter is `null`: in a list, it stands in the place of one that was erased.
ERASED = b"null"


def normalise(raw: object, *, index: int, names: Names = ()) -> Json:
    """Return a parameter as JSON: a string, a number, a list, or an object when `names` are given.

    :param raw: what the source gave: str, int, float, tuple or list of JSON values, or dict.
    :param index: its place in the source, counted from 0, for the error.
    :param names: the names of a value or of a tuple's values, which make it an object; a dict has its own.
    :raises BadParameter: for anything else, and when the number of names isn't the number of values.
    """
    if raw is None or isinstance(raw, bool) or not isinstance(raw, str | int | float | list | tuple | dict):
        raise BadParameter(index, mask(raw), f"is of type {type(raw).__name__}")
    if isinstance(raw, list | tuple | dict) and not raw:
        raise BadParameter(index, repr(raw), "is empty")
    try:
        value = codec.plain(raw)
    except codec.NotJson as error:
        raise BadParameter(index, mask(raw), f"isn't JSON: {error}") from error
    return _named(value, index, names) if names else value


def _named(value: Json, index: int, names: Names) -> Json:
    if isinstance(value, dict):
        missing = [name for name in names if name not in value]
        if missing:
            raise BadParameter(index, mask(value), f"has no field {missing[0]!r}, which `names` asks for")
        return {name: value[name] for name in names}
    values = value if isinstance(value, list) else [value]
    if len(values) != len(names):
        raise BadParameter(
            index, mask(value), f"has {len(values)} value(s) for the {len(names)} `names` {tuple(names)}"
        )
    return dict(zip(names, values, strict=True))


def check_names(names: Names, field: str = "names") -> tuple[str, ...]:
    """Return the names as a tuple; raise `BadSetting` unless they are different Python identifiers."""
    if isinstance(names, str):
        raise BadSetting(field, names, f'a tuple of names, such as ("{names}",)')
    if not isinstance(names, list | tuple):
        raise BadSetting(field, names, 'a tuple of names, such as ("tel",)')
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise BadSetting(field, name, "names that are Python identifiers, such as ('tel',)")
    if len(set(names)) != len(names):
        raise BadSetting(field, tuple(names), "names that differ from each other")
    return tuple(names)


def fields(parameter: Json) -> Mapping[str, Json]:
    """Return a parameter's values by field name; values without a name are called "0", "1" and so on."""
    if isinstance(parameter, dict):
        return parameter
    values = parameter if isinstance(parameter, list) else [parameter]
    return {str(place): value for place, value in enumerate(values)}


def arguments(parameter: Json) -> tuple[list[Any], dict[str, Any]]:
    """Return a parameter as a call's arguments: an object by keyword, a list by position, else the one value.

    They are the caller's own: whatever a function does to them, the parameter stays as it is.
    """
    if isinstance(parameter, dict):
        return [], _copy(parameter)
    return (_copy(parameter) if isinstance(parameter, list) else [parameter]), {}


def _copy(value: Json) -> Json:
    # A value of JSON has no cycles, and its texts and numbers can't be changed.
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value
