"""Which pages were answered, and which were asked for again though they had been."""

from __future__ import annotations

from collections import Counter


class PageLedger:
    """Which pages were answered with 200, and which of these were asked for again after that."""

    def __init__(self) -> None:
        self._answered: Counter[str] = Counter()
        self._again: Counter[str] = Counter()

    def arrived(self, page: str) -> None:
        """Note a request for a page, whatever it is answered."""
        if page in self._answered:
            self._again[page] += 1

    def answered(self, page: str) -> None:
        """Note that a page was answered with 200."""
        self._answered[page] += 1

    def reset(self) -> None:
        """Forget all pages."""
        self._answered.clear()
        self._again.clear()

    def as_json(self) -> dict[str, int]:
        """Return the counts as /stats tells them."""
        return {"answered": len(self._answered), "again": self._again.total()}
