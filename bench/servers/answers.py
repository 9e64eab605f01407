"""The answers that every server gives: JSON of two sizes that echoes the id."""

from __future__ import annotations

from itertools import count

# By the first part of the path: how many bytes, with an id of five digits.
SIZES = {"500": 500, "5000": 5000}
OPENING = '{"id": "'
ID_SIZE = 5
# 202-555-0100 to -0199 are reserved for fiction.
NUMBERS = 100


def tail(size: int) -> str:
    """Return what follows the id in an answer of at most `size` bytes, and nearly as many."""
    room = size - len(OPENING) - ID_SIZE
    calls: list[str] = []
    for number in count():
        longer = [*calls, f'{{"to": "+1202555{100 + number % NUMBERS:04}", "seconds": {number * 7}}}']
        if len(_closed(longer)) > room:
            return _closed(calls)
        calls = longer
    raise AssertionError("the loop ends by its return")


def _closed(calls: list[str]) -> str:
    return f'", "calls": [{", ".join(calls)}]}}'
