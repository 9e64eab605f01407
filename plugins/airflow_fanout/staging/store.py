"""The staging store: a few verbs on keys. What the tasks of a run hand to each other goes through these, and no other.

A folder is one implementation (`staging/folder.py`), an object storage the other (`staging/object_store.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import msgspec

from airflow_fanout.staging import layout

if TYPE_CHECKING:
    # Only the cleaning has any.
    from airflow_fanout.staging.leftovers import Leftovers


class Taken(Exception):
    """A key that was to be created is there already."""


class Growing(Protocol):
    """A new object that one process writes piece by piece."""

    def write(self, content: bytes, /) -> None:
        """Add bytes, all of them or none; in a folder, they survive the death of the process."""

    def close(self) -> None:
        """Return when the object is durable."""


class StagedRun(Protocol):
    """All that one run has in a store; an id is `None` if it can't be read back. Its text is its address."""

    @property
    def dag_id(self) -> str | None:
        """The DAG's id."""

    @property
    def run_id(self) -> str | None:
        """The run's id."""

    def changed(self) -> float:
        """Return when anything in it was changed last, in seconds since 1970."""

    def size(self) -> int:
        """Return how many bytes it has."""

    def remove(self) -> int:
        """Remove it, at once for whoever looks for it, and return how many bytes it had."""


class Store(Protocol):
    """Objects by their keys (see `staging/layout.py`). An `OSError` of any verb names the address it is about."""

    def address(self, key: str) -> str:
        """Return what people and other tasks know a key by: a path, or an address."""

    def put_whole(self, key: str, content: bytes) -> None:
        """Write an object: a reader sees all of it or nothing, also after a power failure; the last writer wins."""

    def create(self, key: str, content: bytes = b"") -> None:
        """Write an object whole, unless it is there; a key that ends in a slash is a claim without content.

        :raises Taken: when it is there. Of several that create it at the same moment, one succeeds.
        """

    def begin(self, key: str, head: bytes = b"") -> Growing:
        """Create an object that grows, and write its first bytes; in an object storage, it is there once it is closed.

        :raises FileExistsError: when it is there.
        """

    def append(self, key: str, content: bytes) -> None:
        """Add bytes to an object, which is made if it isn't there; several may do so at the same moment."""

    def read(self, key: str, size: int = sys.maxsize) -> Iterator[bytes]:
        """Yield an object's bytes, or its first `size` bytes, in chunks.

        :raises FileNotFoundError: when it isn't there, with the first chunk.
        :raises StagingChanged: when it is something that can't be read as a whole, such as a folder or a pipe.
        """

    def delete(self, key: str) -> None:
        """Remove an object or a claim.

        :raises FileNotFoundError: when it isn't there: of several that delete it, one succeeds.
        """

    def move(self, key: str, to: str) -> None:
        """Give an object another key; what that had is replaced.

        :raises FileNotFoundError: when it isn't there: of several that move it, one succeeds.
        """

    def names(self, key: str) -> list[str]:
        """Return the names that are directly below a key, in no order; none if the key isn't there.

        :raises OSError: when it can't be read: "not there" and "can't be read" differ.
        """

    def numbers(self, key: str, kind: str, first: int = 1) -> list[int]:
        """Return the numbers of what is below a key, from one on, in order: of lists, generations, tries or holders."""

    def locked(self, key: str, wait_s: float) -> AbstractContextManager[None]:
        """Keep all others, on any worker, from locking the same key meanwhile.

        :param wait_s: how long to wait for another one's lock, in seconds.
        :raises TimeoutError: if it lasts for longer.
        """

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Return how many bytes these objects have; those that aren't there are left out."""

    def is_there(self, key: str) -> bool:
        """Return whether there is such an object.

        :raises StagingChanged: when something else has its key.
        """

    def runs(self, leftovers: Leftovers) -> Iterator[StagedRun]:
        """Yield the runs that extract has made a list in, DAG by DAG.

        :param leftovers: takes what isn't ours, and what can't be read.
        """

    def finish_removals(self, leftovers: Leftovers) -> None:
        """Remove what an earlier removal that was interrupted has left."""


class Location(msgspec.Struct, frozen=True):
    """A key and the store that it is in. Its text is its address."""

    store: Store
    key: str

    def __str__(self) -> str:
        return self.store.address(self.key)

    def below(self, name: str) -> Location:
        """Return the location of what has this name below it."""
        return Location(self.store, f"{self.key}/{name}")

    def put_whole(self, content: bytes) -> None:
        """Write the object; see `Store.put_whole`."""
        self.store.put_whole(self.key, content)

    def create(self, content: bytes = b"") -> None:
        """Write the object, unless it is there; see `Store.create`."""
        self.store.create(self.key, content)

    def append(self, content: bytes) -> None:
        """Add bytes to the object; see `Store.append`."""
        self.store.append(self.key, content)

    def begin(self, head: bytes = b"") -> Growing:
        """Create the object, which grows; see `Store.begin`."""
        return self.store.begin(self.key, head)

    def read(self, size: int = sys.maxsize) -> Iterator[bytes]:
        """Yield the object's bytes in chunks; see `Store.read`."""
        return self.store.read(self.key, size)

    def content(self) -> bytes:
        """Return all of the object; raise `FileNotFoundError` if it isn't there."""
        return b"".join(self.read())

    def size(self) -> int | None:
        """Return how many bytes it has; `None` if it isn't there."""
        return self.store.sizes([self.key]).get(self.key)

    def is_there(self) -> bool:
        """Return whether the object is there; see `Store.is_there`."""
        return self.store.is_there(self.key)

    def delete(self) -> None:
        """Remove the object; see `Store.delete`."""
        self.store.delete(self.key)

    def names(self) -> list[str]:
        """Return the names that are directly below it; see `Store.names`."""
        return self.store.names(self.key)

    def numbers(self, kind: str, first: int = 1) -> list[int]:
        """Return the numbers of what is below it, from one on, in order: of lists, generations or tries."""
        return self.store.numbers(self.key, kind, first)

    def claim_next(self, kind: str) -> int:
        """Claim the number after the highest that there is; nobody else gets the same."""
        number = max(self.numbers(kind), default=0)
        while True:
            # If somebody else has begun at the same moment, the number after that one is ours.
            number += 1
            try:
                self.store.create(f"{layout.numbered(self.key, kind, number)}/")
            except Taken:
                continue
            return number
