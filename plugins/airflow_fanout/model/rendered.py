"""Settings that a template may have made texts of, read as what they are."""

from __future__ import annotations

from typing import Any

from airflow_fanout import codec
from airflow_fanout.errors import BadSetting


def is_yes(field: str, value: object) -> bool:
    """Return a switch's value; raise `BadSetting` unless it is true, false or nothing."""
    text = str(value).strip().lower()
    if text not in ("true", "false", "1", "0", "", "none"):
        raise BadSetting(field, value, "true or false")
    return text in ("true", "1")


def whole_number(field: str, value: object, *, least: int = 1) -> int:
    """Return a whole number of at least `least`; raise `BadSetting` for anything else."""
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise BadSetting(field, value, f"a whole number of at least {least}")
    return int(text)


def is_nothing(value: object) -> bool:
    """Tell whether a value is `None`, or a text that a template makes of nothing."""
    return value is None or str(value).strip() in ("", "None")


def json_list(field: str, text: str) -> list[Any]:
    """Return the list that a text holds as JSON; raise `BadSetting`, which shows no value, for anything else."""
    try:
        listed = codec.decode(text) if text.strip() else []
    except codec.NotJson as error:
        raise BadSetting(field, "a text that isn't JSON", f"a JSON list ({error})") from error
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise BadSetting(field, type(listed).__name__, "a JSON list")
    return listed
