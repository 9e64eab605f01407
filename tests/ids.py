"""Names of parametrised tests: the same in each process, since workers of pytest-xdist compare them."""

from __future__ import annotations

import re

ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def without_addresses(text: str) -> str:
    """Return a text without the addresses that objects have in this process."""
    return ADDRESS.sub("", text)


def plain_repr(value: object) -> str:
    """Return a value's repr without its address."""
    return without_addresses(repr(value))
