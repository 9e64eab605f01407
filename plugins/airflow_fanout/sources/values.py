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
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import singledispatch
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any
from uuid import UUID

from airflow_fanout.codec import Json


class BadItem(ValueError):
    """An item that can't be a parameter; the text says why and what to do, without a value of the item."""


@singledispatch
def to_json(value: object) -> Json:
    """Return a value of a database, a file or a task as JSON.

    :raises BadItem: for a value of a type that has no rule.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        way_out = "make them a text, in SQL with a function such as encode() or hex()"
        raise BadItem(f"bytes, which JSON doesn't have: {way_out}")
    raise BadItem(f"a value of type {type(value).__name__}, which a parameter can't hold: make it a text or a number")


def _number(value: float | Decimal) -> float | str:
    if not math.isfinite(value):
        raise BadItem(f"{value}, which JSON doesn't have: leave such rows out")
    return format(value, "f") if isinstance(value, Decimal) else float(value)


def _object(values: Mapping[Any, Any]) -> dict[str, Json]:
    if wrong := next((name for name in values if not isinstance(name, str)), None):
        raise BadItem(f"an object with a name of type {type(wrong).__name__}: names are texts")
    return {name: to_json(value) for name, value in values.items()}


# The rules by type. Texts and whole numbers may be of classes of their own, such as BSON's integers of 64 bits.
RULES: tuple[tuple[tuple[type[Any], ...], Callable[[Any], Json]], ...] = (
    ((type(None), bool), lambda value: value),
    ((str,), str),
    ((int,), int),
    ((float, Decimal), _number),
    ((datetime,), lambda value: (value.astimezone(UTC) if value.tzinfo else value).isoformat()),
    ((date, time), lambda value: value.isoformat()),
    ((UUID, IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network), str),
    ((list, tuple), lambda values: [to_json(value) for value in values]),
    ((Mapping,), _object),
)
for kinds, rule in RULES:
    for kind in kinds:
        to_json.register(kind, rule)
