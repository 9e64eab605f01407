"""Whether a list goes on and ends as it should: circles, pages without anything new, the number of items."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from airflow_fanout import codec
from airflow_fanout.api.page import FieldOrHeader, Header, NotPaged, Page, field_text
from airflow_fanout.api.paging import Counted, Pages
from airflow_fanout.api.result import PartMissing, Path
from airflow_fanout.codec import Json

# RFC 9110, 14.4, in any unit: "items 0-24/120", and "0-24/120" as some APIs have it.
_RANGE = re.compile(r"(?:^|\s)(?:\d+-\d+|\*)/(\d+)$")

# Python refuses to read a number of five thousand digits.
MOST_DIGITS = 15


class Paged(NamedTuple):
    """How the pages of a list are walked, and how far.

    :param pages: how the next page is found; `None` for one page.
    :param items: where a page's items stand; `None` if the answer is the items.
    :param total: where the number of all items stands, if it does.
    :param max_pages: how many pages may be asked for.
    :param max_empty_pages: how many pages in a row may bring nothing new.
    """

    pages: Pages | None
    items: Path | None
    total: FieldOrHeader | None
    max_pages: int
    max_empty_pages: int


class Audit:
    """Follows one walk over pages; each method raises `NotPaged` when something is wrong.

    :param names: the fields by which an item is known, if it has more.
    """

    def __init__(self, paged: Paged, names: Sequence[str]) -> None:
        self._paged = paged
        self._names = tuple(names)
        self._asked: dict[str, int] = {}
        self._contents: set[int] = set()
        self._last: int | None = None
        self._without_new = 0
        self._without_items = 0
        self._items = 0
        self._total: int | None = None

    def ask(self, number: int, address: str) -> None:
        """Note that a page is about to be asked for, by its whole address, and by the cursor in its body."""
        before = self._asked.setdefault(address, number)
        if before != number:
            raise NotPaged(f"it is page {before} again: the list goes in a circle; check `pages`")
        if number > self._paged.max_pages:
            raise NotPaged(
                f"the list goes on after max_pages={self._paged.max_pages:,} pages, with {self._items:,} items so "
                "far. If the list is that long, raise max_pages; if not, check `pages`"
            )

    def add(self, page: Page) -> None:
        """Note what a page has brought."""
        self._items += len(page.items)
        self._note_content(page)
        self._note_total(page)

    def end(self) -> None:
        """Note that there are no more pages."""
        if self._total is not None and self._items != self._total:
            raise NotPaged(self._mismatch("the list ended after"))

    def _note_content(self, page: Page) -> None:
        content = _content(page.items, self._names)
        is_new = bool(page.items) and content not in self._contents
        if page.items and content == self._last and isinstance(self._paged.pages, Counted):
            # Some servers answer every number beyond the last page with the last page.
            raise NotPaged("it is the same as the one before it; check `pages`")
        self._last = content
        self._contents.add(content)
        self._without_new = 0 if is_new else self._without_new + 1
        self._without_items = self._without_items + 1 if not page.items else 0
        most = self._paged.max_empty_pages
        if self._without_new > most:
            what = "had no items" if self._without_items > most else "brought no item that wasn't there before"
            raise NotPaged(
                f"pages {page.number - most} to {page.number} {what}, more than max_empty_pages={most} in a row. If "
                "that can be right, raise max_empty_pages; if a page without items is the end, set end_empty=True in "
                "`pages`"
            )

    def _note_total(self, page: Page) -> None:
        place = self._paged.total
        # What is beyond the end may say that there are 0 items.
        if place is None or not (page.items or page.number == 1):
            return
        if (total := _total(page, place)) is not None:
            self._total = total
        if self._total is not None and self._items > self._total:
            raise NotPaged(self._mismatch(f"page {page.number} is reached with"))

    def _mismatch(self, how: str) -> str:
        place = self._paged.total
        where = field_text(place) if place is not None else ""
        return f"{how} {self._items:,} items, and {where} says that there are {self._total:,}"


def _content(items: Sequence[Json], names: tuple[str, ...]) -> int:
    """Return a number that tells pages with different items apart, whatever their order."""
    total = len(items)
    for item in items:
        known = {name: item.get(name) for name in names} if names and isinstance(item, Mapping) else item
        total += int.from_bytes(hashlib.blake2b(codec.canonical(known), digest_size=16).digest())
    return total % (1 << 128)


def _total(page: Page, place: FieldOrHeader) -> int | None:
    """Return the number of items that a page tells; `None` if a later page doesn't tell it."""
    try:
        value = page.value(place)
    except PartMissing as missing:
        if page.number > 1:
            return None
        raise NotPaged(f"total: {missing}") from missing
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(place, Header) and (match := _RANGE.search(str(value))):
        value = match[1]
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= MOST_DIGITS:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotPaged(f"total: {field_text(place)} isn't a number of items; it is of type {type(value).__name__}")
    return value
