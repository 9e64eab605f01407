"""The items of a source that a generator reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any


class Stream:
    """The items that a generator reads, one at a time; there are no pages.

    :param read: returns the generator. It gets the stream, whose `now` says what the reading waits for.
    """

    pages: int | None = None
    ended: str | None = None

    def __init__(self, read: Callable[[Stream], Generator[Any]]) -> None:
        self._doing: tuple[str, float] | None = None
        self._items = read(self)

    @property
    def doing(self) -> tuple[str, float] | None:
        """What the first item waits for, and since when on the monotonic clock; `None` once it is there."""
        return self._doing

    def now(self, doing: str) -> None:
        """Say what is being waited for from now on."""
        self._doing = doing, time.monotonic()

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self._doing = None
            yield item

    def close(self) -> None:
        """Close what the generator has open; nothing is read after that."""
        self._items.close()
