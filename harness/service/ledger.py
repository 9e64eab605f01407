"""Which pages were answered, which were asked for again though they had been, and which exports were made."""

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


class ExportLedger:
    """How many exports were made for each customer, and how often they were asked about and fetched."""

    def __init__(self) -> None:
        self._created: Counter[str] = Counter()
        self.asked = 0
        self.fetched = 0

    def created(self, customer: str) -> None:
        """Note that an export was made."""
        self._created[customer] += 1

    def reset(self) -> None:
        """Forget all exports."""
        self._created.clear()
        self.asked = self.fetched = 0

    def as_json(self) -> dict[str, int]:
        """Return the counts as /stats tells them."""
        most = max(self._created.values(), default=0)
        return {"created": self._created.total(), "most_of_one": most, "asked": self.asked, "fetched": self.fetched}
