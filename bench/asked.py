"""What one sample asks of a client."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# The first id: five digits, as the answers' sizes are reckoned with.
FIRST = 10_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A number of requests to one server, and how many of them at once.

    :param base: the address above the ids.
    :param count: how many requests.
    :param concurrency: how many at once.
    :param authority: the file of the authority that vouches for a TLS server.
    """

    base: str
    count: int
    concurrency: int
    authority: str | None = None

    @property
    def ids(self) -> range:
        """The ids to ask for."""
        return range(FIRST, FIRST + self.count)

    def urls(self) -> Iterator[str]:
        """Yield the address of each request."""
        return (f"{self.base}/{number}" for number in self.ids)
