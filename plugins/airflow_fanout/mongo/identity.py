"""Which keys MongoDB holds for the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import bson

# Of these, equal values have equal bytes: what most keys are is known without a closer look.
PLAIN_KEYS = frozenset({str, int, bool, bytes, datetime, bson.ObjectId})
# More digits than a number of MongoDB's has.
EXACT = Context(prec=50)


def identity(key: Mapping[str, Any], encoded: bytes) -> bytes:
    """Return what is equal for the keys that MongoDB holds for one.

    :param key: the key's fields.
    :param encoded: the same as BSON.
    """
    if PLAIN_KEYS.issuperset(map(type, key.values())):
        return encoded
    # MongoDB holds 1 and 1.0 for the same key.
    return bson.encode({name: _whole(value) for name, value in bson.decode(encoded).items()})


def _whole(value: Any) -> Any:
    """Return a key's value in the form that equal numbers share: to MongoDB 1, 1.0 and Decimal128("1.00") are one."""
    if isinstance(value, bool) or not isinstance(value, int | float | bson.Decimal128):
        return value
    exact = value.to_decimal() if isinstance(value, bson.Decimal128) else Decimal(value)
    nearest = float(exact) if exact.is_finite() else float(str(exact).replace("sNaN", "NaN"))
    if exact.is_finite() and exact == exact.to_integral_value() and abs(exact) < 2**63:
        return int(exact)
    if not exact.is_finite() or Decimal(nearest) == exact:
        return nearest
    return ["decimal", str(exact.normalize(EXACT))]
