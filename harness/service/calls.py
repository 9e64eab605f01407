"""Which calls a subscriber made on a day: a function of the seed, the number and the day alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING

from harness.numbers import CAPACITY, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_CALLS = 8
SECONDS_A_DAY = 86_400
LONGEST_CALL_S = 3_600
BYTES_A_CALL = 7


@dataclass(frozen=True, slots=True)
class Call:
    """A call that started at ``at`` (UTC) and took ``seconds``."""

    at: str
    to: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Row:
    """A call with who made it."""

    tel: str
    at: str
    to: str
    seconds: int


def calls_of(seed: int, tel: str, day: date) -> list[Call]:
    """Return the calls of one day, in order of time, no two in the same second; one day in nine has none."""
    chance = blake2b(f"{seed}/{tel}/{day}".encode(), digest_size=1 + MOST_CALLS * BYTES_A_CALL).digest()
    count = chance[0] % (MOST_CALLS + 1)
    parts = (chance[1 + place * BYTES_A_CALL :][:BYTES_A_CALL] for place in range(count))
    return [_call(part, tel, day, place, count) for place, part in enumerate(parts)]


def _call(chance: bytes, tel: str, day: date, place: int, count: int) -> Call:
    # Each call has a slice of the day to itself: that alone orders them and keeps them apart.
    slice_s = SECONDS_A_DAY // count
    second = place * slice_s + int.from_bytes(chance[:3]) % slice_s
    return Call(
        at=f"{datetime.combine(day, time()) + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}",
        to=_other_than(tel, int.from_bytes(chance[3:5])),
        seconds=1 + int.from_bytes(chance[5:7]) % LONGEST_CALL_S,
    )


def _other_than(tel: str, chance: int) -> str:
    # CAPACITY is below 65,536, so two bytes reach every number.
    called = number(chance % CAPACITY)
    return called if called != tel else number((chance + 1) % CAPACITY)


def rows_between(seed: int, tels: Iterable[str], start: date, end: date) -> Iterator[Row]:
    """Return every call that starts in [start, end), subscriber by subscriber, each in order of time."""
    days = [start + timedelta(days=offset) for offset in range((end - start).days)]
    for tel in tels:
        for day in days:
            for call in calls_of(seed, tel, day):
                yield Row(tel, call.at, call.to, call.seconds)
