"""A line before a few places: what makes waiting longer the more there are who ask."""

from __future__ import annotations

import asyncio
from collections import deque


class Line:
    """Places for a few at once, with ``async with``; who finds none free waits, first come, first served.

    No places means no end of them. A free place means that nobody waits.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def __repr__(self) -> str:
        return f"<Line {self._taken} of {self._places or 'endless'} places taken, {len(self._waiting)} waiting>"

    def resize(self, places: int) -> None:
        """Change how many places there are; who has one keeps it."""
        self._places = places
        self._fill()

    async def __aenter__(self) -> None:
        if self._free():
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            # Who was called and went away in the same instant has a place to give back.
            if not turn.cancelled():
                self._leave()
            raise

    async def __aexit__(self, *_ended: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._taken -= 1
        self._fill()

    def _fill(self) -> None:
        while self._waiting and self._free():
            turn = self._waiting.popleft()
            # Done already: gone away while waiting.
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _free(self) -> bool:
        return not self._places or self._taken < self._places
