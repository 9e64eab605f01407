"""Who the subscribers are, and how the list of them is cut into pages."""

from __future__ import annotations

import base64
import binascii
import random
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from harness.numbers import numbers

PER_PAGE = 500
MOST_PER_PAGE = 1000
FIRST_DAY = date(2015, 1, 1)
DAYS_OF_GROWTH = 3_650

GIVEN_NAMES = (
    *("Ada", "Bela", "Chidi", "Dora", "Emre", "Fen", "Gwen", "Hugo", "Ines", "Jun", "Kofi", "Lena", "Mira"),
    *(
        "Noor",
        "Otis",
        "Petra",
        "Quinn",
        "Rosa",
        "Sami",
        "Tova",
        "Uma",
        "Vito",
        "Wren",
        "Xenia",
        "Yara",
        "Zoe",
    ),
)
FAMILY_NAMES = (
    *("Abel", "Brook", "Castle", "Dale", "Elm", "Field", "Glen", "Hill", "Isle", "Jetty", "Knoll", "Lake"),
    *("Marsh", "North", "Orchard", "Pond", "Quarry", "Ridge", "Shore", "Thorn", "Upland", "Vale", "Wood"),
)


class CursorRefused(ValueError):
    """A cursor that no page has handed out."""

    def __str__(self) -> str:
        return "The cursor is not one that this service has handed out."


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One who has a telephone."""

    tel: str
    name: str
    since: str


@dataclass(frozen=True, slots=True)
class Page:
    """A cut of the list; ``next`` is the next one's address, ``cursor`` its token, both None on the last."""

    subscribers: tuple[Subscriber, ...]
    page: int
    pages: int
    total: int
    next: str | None
    cursor: str | None


def roster(seed: int, count: int) -> tuple[Subscriber, ...]:
    """Return the first ``count`` subscribers; a longer list begins with the shorter one of the same seed."""
    chance = random.Random(seed)
    return tuple(_subscriber(tel, chance) for tel in numbers(count))


def _subscriber(tel: str, chance: random.Random) -> Subscriber:
    name = f"{chance.choice(GIVEN_NAMES)} {chance.choice(FAMILY_NAMES)}"
    return Subscriber(tel, name, (FIRST_DAY + timedelta(days=chance.randrange(DAYS_OF_GROWTH))).isoformat())


def numbered_page(everyone: tuple[Subscriber, ...], page: int, per_page: int) -> Page:
    """Return a page by its number, counted from 1; behind the last one they are empty."""
    return _cut(everyone, (page - 1) * per_page, per_page, {"page": page + 1})


def page_from_cursor(everyone: tuple[Subscriber, ...], cursor: str, per_page: int) -> Page:
    """Return the page that a cursor points to; raise CursorRefused for what no page handed out."""
    start = _start(cursor)
    return _cut(everyone, start, per_page, {"cursor": _cursor(start + per_page)})


def _cut(everyone: tuple[Subscriber, ...], start: int, per_page: int, onward: dict[str, int | str]) -> Page:
    end = start + per_page
    more = end < len(everyone)
    return Page(
        subscribers=everyone[start:end],
        page=start // per_page + 1,
        pages=-(-len(everyone) // per_page),
        total=len(everyone),
        next=f"/subscribers?{urlencode({**onward, 'per_page': per_page})}" if more else None,
        cursor=_cursor(end) if more else None,
    )


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(f"after:{start}".encode()).decode()


def _start(cursor: str) -> int:
    try:
        word, _, place = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
    except (binascii.Error, UnicodeError) as error:
        raise CursorRefused from error
    if word != "after" or not place.isdecimal():
        raise CursorRefused
    return int(place)
