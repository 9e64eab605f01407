"""What a query asks for: text becomes a value, or a refusal with a sentence."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_DAYS = 31
MOST_DIGITS = 9


class Refused(Exception):
    """A request that gets ``status`` and one sentence instead of an answer."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers


def day_of(query: Mapping[str, str], name: str) -> date:
    """Return a day written as YYYY-MM-DD."""
    text = query.get(name)
    if text is None:
        raise Refused(400, f"The query needs {name}=YYYY-MM-DD.")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # fromisoformat also reads 20261122 and 2026-W47-7.
    if day is None or day.isoformat() != text:
        raise Refused(400, f"{name} is {text!r}: it must be a day, written YYYY-MM-DD.")
    return day


def days_of(query: Mapping[str, str]) -> tuple[date, date]:
    """Return [start, end), at most a month of it."""
    start, end = day_of(query, "start"), day_of(query, "end")
    if end < start:
        raise Refused(400, f"end is {end}, before start, which is {start}.")
    if (end - start).days > MOST_DAYS:
        raise Refused(400, f"{start} to {end} is too long: ask for at most {MOST_DAYS} days at once.")
    return start, end


def count_of(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a whole number from 1 to ``most``."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS and 1 <= int(text) <= most):
        raise Refused(400, f"{name} is {text!r}: it must be a whole number from 1 to {most}.")
    return int(text)
