"""What a function's result has in it that JSON can't hold: where, of which type, and what to write instead."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import math
import uuid
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

import requests

# The first type that fits decides: a datetime is a date, too.
_INSTEAD: tuple[tuple[tuple[type, ...], str], ...] = (
    ((requests.Response,), "return what is in the answer: response.json(), or response.text"),
    ((dt.date, dt.time), "write it as text: value.isoformat()"),
    ((dt.timedelta,), "write it as a number: value.total_seconds()"),
    ((decimal.Decimal,), "write it as text, which keeps all digits, str(value), or as a number, float(value)"),
    ((bytes, bytearray, memoryview), "write it as text: value.decode()"),
    ((set, frozenset), "make a list of it: sorted(value)"),
    ((uuid.UUID,), "write it as text: str(value)"),
    ((enum.Enum,), "return its value: value.value"),
    ((complex,), "return its parts: [value.real, value.imag]"),
)
# A search that takes longer than this would hold up all other parameters.
_MOST_VALUES = 100_000
_LONGEST_NAME = 40


def hint(result: object) -> str | None:
    """Return a sentence about the first value in a result that JSON can't hold; `None` if none is found.

    The sentence names the value's place and its type, never the value.
    """
    for place, value in islice(_values(result), _MOST_VALUES):
        if not _fits(value):
            return f"{place} is {_described(value)}; {_instead(value)}"
    return None


def _values(result: object) -> Iterator[tuple[str, object]]:
    """Yield what is in a result, and where; a list that is in itself is looked at once."""
    waiting: deque[tuple[str, object]] = deque([("result", result)])
    seen = set()
    while waiting:
        place, value = waiting.popleft()
        if not isinstance(value, dict | list | tuple):
            yield place, value
        elif id(value) not in seen:
            seen.add(id(value))
            waiting.extend(_parts(place, value))


def _parts(place: str, value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[tuple[str, object]]:
    if not isinstance(value, dict):
        yield from ((f"{place}[{number}]", part) for number, part in enumerate(value))
        return
    for name, part in value.items():
        yield f"a key of {place}", name
        # The keys of an object may be personal data themselves: telephone numbers, say.
        is_plain = isinstance(name, str) and name.isidentifier() and len(name) <= _LONGEST_NAME
        yield f"{place}[{name!r}]" if is_plain else f"{place}[…]", part


def _fits(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)
    return value is None or isinstance(value, int)


def _described(value: object) -> str:
    if isinstance(value, float):
        return "NaN or infinite"
    if isinstance(value, str):
        return "text with a lone surrogate (broken bytes that were decoded with errors='surrogateescape')"
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"of type {name}"


def _instead(value: object) -> str:
    if isinstance(value, float):
        return "return None for it"
    if isinstance(value, str):
        return "decode the bytes with their own charset, or with errors='replace'"
    if inspect.isawaitable(value):
        return "the engine awaits nothing: call session.get(…) from a plain `def`"
    if dataclasses.is_dataclass(value):
        return "make a dict of it: dataclasses.asdict(value)"
    usual = "return texts, numbers, lists and dicts only"
    if hasattr(value, "tolist"):
        usual = "make a plain number or a list of it: value.tolist()"
    return next((advice for kinds, advice in _INSTEAD if isinstance(value, kinds)), usual)
