"""Names of parametrised tests: the same in each process, since workers of pytest-xdist compare them."""

from __future__ import annotations

import re

ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def plain_repr(value: object) -> str:
    """Return a value's repr without the address that it has in this process."""
    return ADDRESS.sub("", repr(value))
