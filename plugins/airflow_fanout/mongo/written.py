"""What a load has done."""

from __future__ import annotations

from typing import NamedTuple


class Written(NamedTuple):
    """How many documents are new, how many were there and have been replaced, and how many are gone.

    `kept` are those that were left as they are because a run of a later date has written them.

    What a batch had inserted before it was broken off counts as replaced when it is repeated.
    """

    inserted: int
    replaced: int
    removed: int = 0
    kept: int = 0

    @property
    def confirmed(self) -> int:
        """The number of the run's documents that MongoDB holds, be it in the form of a later run."""
        return self.inserted + self.replaced + self.kept
