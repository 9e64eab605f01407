"""What several reports beside this module import: the source of their parameters, and a request as a function."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.numbers import numbers

if TYPE_CHECKING:
    import requests

DAY = "2026-11-20"


def some(params: dict[str, Any]) -> Iterator[str]:
    """Yield the numbers of `count` subscribers, from the one with index `first` on."""
    return islice(numbers(2000), params["first"], params["first"] + params["count"])


def calls_of(session: requests.Session, tel: str) -> list[dict[str, Any]]:
    """Return the calls of a subscriber's day."""
    answer = session.get(f"/calls/{tel}", params={"day": DAY})
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["calls"]
    return found
