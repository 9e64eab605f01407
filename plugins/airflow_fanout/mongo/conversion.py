"""Values of documents as the types that the author names: dates, Decimal128, 64-bit integers and doubles."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import bson

from airflow_fanout.mongo.types import Date, TypeName
from airflow_fanout.privacy.quoting import field_name

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1)}
# As JSON writes a number: Python also reads 1_000, other scripts' digits and the words for infinity.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
# Beyond this, a double doesn't hold each whole number.
EXACT = 2**53
# 64 bits.
LEAST, GREATEST = -(2**63), 2**63 - 1
LONGEST_FORM = 40
# What Decimal128 holds; what has more digits isn't rounded.
DECIMAL128 = decimal.Context(
    prec=34, Emin=-6143, Emax=6144, clamp=1, traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow]
)

Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class NotConverted(Exception):
    """A value that isn't of its field's type; the message has its form, and nothing of the value."""

    problem: str

    def __str__(self) -> str:
        return self.problem


class Conversion:
    """Converts documents, and remembers which paths none of them had.

    :param types: the type at the end of each path.
    """

    def __init__(self, types: Mapping[tuple[str, ...], TypeName | Date]) -> None:
        self.unseen = dict.fromkeys(types, True)
        self._tree: dict[str, Any] = {}
        for steps, kind in types.items():
            branch = self._tree
            for step in steps[:-1]:
                branch = branch.setdefault(step, {})
            branch[steps[-1]] = (partial(_dated, kind) if isinstance(kind, Date) else CONVERTERS[kind], steps)

    def __call__(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return the document with its values converted; the one that was given stays as it is.

        A list on the way, or at the end, stands for each of its items. What is null or isn't there stays like that.

        :raises NotConverted: for the first value that isn't of its type.
        """
        converted: dict[str, Any] = self._branch(document, self._tree, "")
        return converted

    def _branch(self, value: Any, branch: Any, path: str) -> Any:
        if isinstance(value, list | tuple):
            return [self._branch(item, branch, f"{path}[{place}]") for place, item in enumerate(value)]
        if isinstance(branch, tuple):
            convert, steps = branch
            return self._leaf(value, convert, steps, path)
        if isinstance(value, Mapping):
            parts = {
                name: self._branch(value[name], below, f"{path}.{field_name(name)}".lstrip("."))
                for name, below in branch.items()
                if name in value
            }
            return {**value, **parts}
        if value is None:
            return None
        raise NotConverted(f"its field {path!r} is {form_of(value)}, and `types` names a field in it")

    def _leaf(self, value: Any, convert: Convert, steps: tuple[str, ...], path: str) -> Any:
        self.unseen.pop(steps, None)
        if value is None:
            return None
        try:
            return convert(value)
        except NotConverted as error:
            problem = error.problem
        except (ValueError, ArithmeticError):
            # The words of these hold the value.
            problem = ""
        # Outside of `except`: what was raised there holds the value, and would be logged with this.
        kind = (
            "date" if isinstance(convert, partial) else next(name for name, own in CONVERTERS.items() if own is convert)
        )
        raise NotConverted(f"its field {path!r} isn't a {kind}: it is {problem or form_of(value)}")


def form_of(value: Any) -> str:
    """Return what a value looks like: of a text, 9 stands for each digit and a for each letter."""
    if not isinstance(value, str):
        return f"of type {type(value).__name__}"
    form = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", value))
    return f"a text of the form {form[:LONGEST_FORM]!r}{'…' if len(form) > LONGEST_FORM else ''}"


def _dated(kind: Date, value: Any) -> datetime:
    if isinstance(value, datetime):
        moment, is_day = value, False
    elif isinstance(value, date):
        moment, is_day = datetime.combine(value, time()), True
    elif isinstance(value, int | float) and not isinstance(value, bool) and kind.epoch is not None:
        moment, is_day = EPOCH + value * UNITS[kind.epoch], False
    elif isinstance(value, int | float) and not isinstance(value, bool):
        raise NotConverted('a number: if it counts from 1970 on, write Date(epoch="s") or Date(epoch="ms")')
    elif not isinstance(value, str) or kind.epoch is not None:
        raise NotConverted(form_of(value))
    elif kind.format is not None:
        moment, is_day = datetime.strptime(value, kind.format), kind.is_day  # noqa: DTZ007 - its zone follows
    else:
        moment, is_day = datetime.fromisoformat(value), len(value) <= len("2026-11-22")
    return _in_utc(moment, kind, is_day=is_day, form=form_of(value))


def _in_utc(moment: datetime, kind: Date, *, is_day: bool, form: str) -> datetime:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if kind.timezone is None:
        if is_day:
            return moment.replace(tzinfo=UTC)
        raise NotConverted(f'{form}, a time without an offset: name its zone, as in Date(timezone="Europe/Berlin")')
    zone = ZoneInfo(kind.timezone)
    in_utc = moment.replace(tzinfo=zone).astimezone(UTC)
    # In the night in which the clock is put forward, an hour of it doesn't exist. A day begins when it is over.
    if not is_day and in_utc.astimezone(zone).replace(tzinfo=None) != moment:
        raise NotConverted(f"{form}, a time that the clock of {kind.timezone} skips")
    return in_utc


def _decimal(value: Any) -> bson.Decimal128:
    if isinstance(value, bson.Decimal128):
        return value
    # A float's shortest form is how JSON has written it, up to 17 digits.
    text = value if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float | decimal.Decimal):
        raise NotConverted(form_of(value))
    if not NUMBER.fullmatch(text):
        raise ValueError
    return bson.Decimal128(DECIMAL128.create_decimal(text))


def _long(value: Any) -> bson.Int64:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    is_whole = is_whole or (isinstance(value, float) and value.is_integer() and abs(value) <= EXACT)
    if not is_whole and not (isinstance(value, str) and WHOLE.fullmatch(value)):
        raise NotConverted(form_of(value))
    number = int(value)
    if not LEAST <= number <= GREATEST:
        raise NotConverted("a number of more than 64 bits")
    return bson.Int64(number)


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise NotConverted(form_of(value))
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError
    number = float(value)
    if math.isinf(number) or (isinstance(value, int) and number != value):
        raise NotConverted("a number that a double can't hold")
    return number


CONVERTERS: Mapping[TypeName, Convert] = {
    "date": partial(_dated, Date()),
    "decimal": _decimal,
    "long": _long,
    "double": _double,
}
