"""The checks that an author has listed."""

from __future__ import annotations

from airflow_fanout.errors import BadSetting
from airflow_fanout.validation.checks.check import Check


def to_checks(value: object) -> tuple[Check, ...]:
    """Return the checks that an author has listed; raise `BadSetting` for what is none."""
    if not isinstance(value, list | tuple):
        raise BadSetting("checks", value, "a tuple of checks, such as (MaxEmpty(0.2),)")
    for place, check in enumerate(value):
        if not isinstance(check, Check):
            raise BadSetting(f"checks[{place}]", check, _expected(check))
    return tuple(value)


def _expected(found: object) -> str:
    if isinstance(found, type) and issubclass(found, Check):
        return f"one with its arguments, {found.__name__}(…)"
    if callable(found):
        return "a check; a function is one as CustomCheck(function)"
    return "a check: ResultSchema, Unique, MaxEmpty, Drift or CustomCheck"
