"""What a source's values become in a parameter: JSON has no date, no decimal number and no UUID.

The rule, which `docs/sources.md` explains:

- a date or a time is written as in ISO 8601; a moment with a time zone is written in UTC, so that one moment always
  gives one text, whatever the zone of the session that read it;
- a decimal number is a text with all of its digits, without an exponent: a float would be another number;
- a UUID and an IP address are texts;
- whatever else JSON doesn't have (bytes, intervals, NaN) is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import singledispatch
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, TypeVar
from uuid import UUID

from airflow_fanout.codec import Json

Items = TypeVar("Items", list[Any], tuple[Any, ...])


class BadItem(ValueError):
    """An item that can't be a parameter; the text says why and what to do, without a value of the item."""


@singledispatch
def to_json(value: object) -> Json:
    """Return a value of a database, a file or a task as JSON.

    :raises BadItem: for a value of a type that has no rule.
    """
    raise BadItem(f"a value of type {type(value).__name__}, which a parameter can't hold: make it a text or a number")


@to_json.register
def _of_nothing(_: None) -> None:
    return None


@to_json.register
def _of_text(value: str) -> str:
    return str(value)


@to_json.register
def _of_flag(value: bool) -> bool:  # noqa: FBT001 - the type is what it is registered for
    return value


@to_json.register
def _of_whole_number(value: int) -> int:
    # BSON's 64-bit integers are of a class of their own.
    return int(value)


@to_json.register
def _of_number(value: float) -> float:
    if not math.isfinite(value):
        raise BadItem(f"{value}, which JSON doesn't have: leave such rows out")
    return float(value)


@to_json.register
def _of_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise BadItem(f"{value}, which JSON doesn't have: leave such rows out")
    return format(value, "f")


@to_json.register
def _of_moment(value: datetime) -> str:
    return (value.astimezone(UTC) if value.tzinfo else value).isoformat()


@to_json.register(date)
@to_json.register(time)
def _of_date(value: date | time) -> str:
    return value.isoformat()


@to_json.register(UUID)
@to_json.register(IPv4Address)
@to_json.register(IPv4Interface)
@to_json.register(IPv4Network)
@to_json.register(IPv6Address)
@to_json.register(IPv6Interface)
@to_json.register(IPv6Network)
def _of_identifier(value: object) -> str:
    return str(value)


@to_json.register(bytes)
@to_json.register(bytearray)
@to_json.register(memoryview)
def _of_bytes(_: object) -> Json:
    raise BadItem("bytes, which JSON doesn't have: make them a text, in SQL with a function such as encode() or hex()")


@to_json.register(list)
@to_json.register(tuple)
def _of_list(values: Items) -> list[Json]:
    return [to_json(value) for value in values]


@to_json.register(Mapping)
def _of_object(values: Mapping[Any, Any]) -> dict[str, Json]:
    if wrong := next((name for name in values if not isinstance(name, str)), None):
        raise BadItem(f"an object with a name of type {type(wrong).__name__}: names are texts")
    return {name: to_json(value) for name, value in values.items()}
