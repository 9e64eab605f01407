"""Which answers say in their bodies that the request has failed, as an author writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from airflow_fanout.api.result import check_path
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting

# A path to a field, the values of fields by their paths, or a function of the decoded body. The type checker can't
# tell a path from another text, and msgspec can't read a function.
Condition: TypeAlias = Any

_EXPECTED = (
    'a path to a field ("error"), the values of fields ({"status": ["error", "failed"]}), or a function of the body'
)


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
