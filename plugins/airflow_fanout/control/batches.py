"""Whether what an API refuses are single parameters, or every batch that it gets: decided from the first ones."""

from __future__ import annotations

# How many batches are looked at, and how many of them may be refused: 5 %.
FIRST_BATCHES = 20
MOST_REFUSED = 1
# If all requests up to this number were refused, that is enough, too: one batch, its halves, their halves. A batch with
# two bad parameters has a good quarter by then.
FIRST_REQUESTS = 7


class RefusedBatches:
    """Counts the first batches and how many of them were refused for their content, and what came of their parts."""

    def __init__(self) -> None:
        self.batches = 0
        self.refused = 0
        self._requests = 0
        self._is_any_accepted = False

    def add(self, *, is_whole: bool, is_refused: bool) -> bool:
        """Note an answer to a batch or to a part of one; return whether the batches themselves are wrong.

        :param is_whole: whether it was no part of a batch that was refused before.
        """
        self._requests += 1
        self._is_any_accepted = self._is_any_accepted or not is_refused
        if is_whole and self.batches < FIRST_BATCHES:
            self.batches += 1
            self.refused += is_refused
        is_all_refused = self._requests >= FIRST_REQUESTS and not self._is_any_accepted
        return is_refused and (self.refused > MOST_REFUSED or is_all_refused)
