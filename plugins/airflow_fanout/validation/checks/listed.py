"""The checks that an author has listed."""

from __future__ import annotations

from airflow_fanout.errors import BadSetting
from airflow_fanout.validation.checks.check import Check


def to_checks(value: object) -> tuple[Check, ...]:
    """Return the checks that an author has listed; raise `BadSetting` for what is none."""
    if not isinstance(value, list | tuple):
        raise BadSetting("checks", value, "a tuple of checks, such as (MaxEmpty(0.2),)")
    for place, check in enumerate(value):
        if isinstance(check, Check):
            continue
        expected = "a check: ResultSchema, Unique, MaxEmpty, Drift or CustomCheck"
        if isinstance(check, type) and issubclass(check, Check):
            expected = f"one with its arguments, {check.__name__}(…)"
        elif callable(check):
            expected = "a check; a function is one as CustomCheck(function)"
        raise BadSetting(f"checks[{place}]", check, expected)
    return tuple(value)
