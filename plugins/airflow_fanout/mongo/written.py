"""What a load has done."""

from __future__ import annotations

from typing import NamedTuple


class Written(NamedTuple):
    """How many documents are new, how many were there and have been replaced, and how many are gone.

    What a batch had inserted before it was broken off counts as replaced when it is repeated.
    """

    inserted: int
    replaced: int
    removed: int = 0

    @property
    def confirmed(self) -> int:
        """The number of documents that MongoDB has taken."""
        return self.inserted + self.replaced
