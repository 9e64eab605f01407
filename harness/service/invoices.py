"""Which invoices a customer has of a day: a function of the seed, the customer and the day alone, cut into pages."""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from hashlib import blake2b

INVOICES = 6
PER_PAGE = 2
PAGES = INVOICES // PER_PAGE
SECONDS_A_DAY = 86_400
MOST_CENTS = 1_000_000


class CursorUnknown(ValueError):
    """A cursor that no page of this customer's day has handed out."""

    def __str__(self) -> str:
        return "The cursor is none of this customer's."


@dataclass(frozen=True, slots=True)
class Customer:
    """One who gets invoices; a customer who isn't active has none, and is unknown to the billing."""

    id: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice that was issued at a moment (UTC); the amount is a decimal number as text."""

    id: str
    issued: str
    amount: str
    currency: str


@dataclass(frozen=True, slots=True)
class InvoicePage:
    """A cut of a day's invoices; ``next_cursor`` is None on the last page."""

    number: int
    data: tuple[Invoice, ...]
    next_cursor: str | None

    def as_json(self) -> dict[str, object]:
        """Return the page as it is answered."""
        return {"data": [asdict(invoice) for invoice in self.data], "next_cursor": self.next_cursor}


def customers(count: int) -> tuple[Customer, ...]:
    """Return the first ``count`` customers; one in twenty isn't active."""
    return tuple(
        Customer(f"cus_{number:06}", f"Company {number:,}", active=number % 20 != 0) for number in range(1, count + 1)
    )


def invoices_of(seed: int, customer: str, day: date) -> tuple[Invoice, ...]:
    """Return the invoices of one day, in order of time."""
    invoices = []
    for number in range(1, INVOICES + 1):
        chance = blake2b(f"{seed}/{customer}/{day}/{number}".encode(), digest_size=8).digest()
        # Each invoice has a slice of the day to itself, which orders them.
        slice_s = SECONDS_A_DAY // INVOICES
        second = (number - 1) * slice_s + int.from_bytes(chance[:4]) % slice_s
        issued = datetime.combine(day, time()) + timedelta(seconds=second)
        cents = int.from_bytes(chance[4:]) % MOST_CENTS
        invoices.append(
            Invoice(
                id=f"in_{chance.hex()}",
                issued=f"{issued:%Y-%m-%dT%H:%M:%SZ}",
                amount=f"{cents // 100}.{cents % 100:02}",
                currency="EUR",
            )
        )
    return tuple(invoices)


def page_of(seed: int, customer: str, day: date, cursor: str | None) -> InvoicePage:
    """Return the first page, or the one that a cursor points to; raise CursorUnknown for what no page handed out."""
    invoices = invoices_of(seed, customer, day)
    start = 0 if cursor is None else _start(customer, cursor)
    end = start + PER_PAGE
    onward = base64.urlsafe_b64encode(f"{customer}:{end}".encode()).decode() if end < len(invoices) else None
    return InvoicePage(start // PER_PAGE + 1, invoices[start:end], onward)


def _start(customer: str, cursor: str) -> int:
    try:
        owner, _, place = base64.urlsafe_b64decode(cursor.encode()).decode().partition(":")
    except (binascii.Error, UnicodeError) as error:
        raise CursorUnknown from error
    if owner != customer or place not in {str(start) for start in range(PER_PAGE, INVOICES, PER_PAGE)}:
        raise CursorUnknown
    return int(place)
