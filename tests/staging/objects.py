"""A store as an object storage is one, in memory: no folders, no appends to an object, nothing that is renamed."""

from __future__ import annotations

import errno
import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from airflow_fanout.staging import layout
from airflow_fanout.staging.leftovers import Leftovers
from airflow_fanout.staging.store import Taken


@dataclass
class ObjectStore:
    """Objects by their names. One that grows is several, whose names continue its own."""

    objects: dict[str, tuple[float, bytes]] = field(default_factory=dict)

    def address(self, key: str) -> str:
        """Return an address with a scheme, as object storage has it."""
        return f"memory://staging/{key}"

    def put_whole(self, key: str, content: bytes) -> None:
        """Put one object in the place of all that had its key."""
        self.objects[key] = (time.time(), content)
        for piece in self._pieces(key)[1:]:
            del self.objects[piece]

    def create(self, key: str, content: bytes = b"") -> None:
        """Put an object on the condition that there is none (`If-None-Match: *`)."""
        if self.objects.setdefault(key, value := (time.time(), content)) is not value:
            raise Taken(key)

    def begin(self, key: str, head: bytes = b"") -> Pieces:
        """Put the first piece on the same condition."""
        try:
            self.create(key, head)
        except Taken:
            raise FileExistsError(errno.EEXIST, "is there", self.address(key)) from None
        return Pieces(self, key)

    def append(self, key: str, content: bytes) -> None:
        """Put another piece."""
        keys = itertools.chain([key], (f"{key}#{number:08d}" for number in itertools.count(1)))
        for piece in keys:
            with suppress(Taken):
                self.create(piece, content)
                break

    def read(self, key: str, size: int = sys.maxsize) -> Iterator[bytes]:
        """Yield the pieces in order."""
        for piece in self._there(key):
            content = self.objects[piece][1][:size]
            size -= len(content)
            if content:
                yield content

    def delete(self, key: str) -> None:
        """Remove all pieces."""
        for piece in self._there(key):
            del self.objects[piece]

    def move(self, key: str, to: str) -> None:
        """Copy, then remove."""
        self.put_whole(to, b"".join(self.read(key)))
        self.delete(key)

    def names(self, key: str) -> list[str]:
        """List with a delimiter."""
        prefix = key and f"{key}/"
        below = (name.removeprefix(prefix) for name in self.objects if name.startswith(prefix))
        return list({name.partition("/")[0].partition("#")[0] for name in below if name})

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Add up what a listing says."""
        found = {key: self._pieces(key) for key in keys}
        return {key: sum(len(self.objects[piece][1]) for piece in pieces) for key, pieces in found.items() if pieces}

    def is_there(self, key: str) -> bool:
        """Look for the first piece."""
        return key in self.objects

    def runs(self, leftovers: Leftovers) -> Iterator[ObjectsOfRun]:  # noqa: ARG002 - the Protocol's
        """Take them from one listing."""
        names = (key.split("/") for key in list(self.objects))
        keys = {"/".join(name[:2]) for name in names if len(name) > 3 and layout.numbers([name[3]], layout.LIST)}
        return (ObjectsOfRun(self, key) for key in sorted(keys))

    def finish_removals(self, leftovers: Leftovers) -> None:
        """Do nothing: a removal that was interrupted has left a run with fewer objects."""

    def _there(self, key: str) -> list[str]:
        if pieces := self._pieces(key):
            return pieces
        raise FileNotFoundError(errno.ENOENT, "isn't there", self.address(key))

    def _pieces(self, key: str) -> list[str]:
        return sorted(name for name in list(self.objects) if name == key or name.startswith(f"{key}#"))


@dataclass
class Pieces:
    """An object that grows: each write is an object of its own."""

    store: ObjectStore
    key: str

    def write(self, content: bytes, /) -> None:
        """Put the next piece."""
        self.store.append(self.key, content)

    def close(self) -> None:
        """Do nothing: what was put is durable."""


@dataclass
class ObjectsOfRun:
    """All objects of one run."""

    store: ObjectStore
    key: str

    def __str__(self) -> str:
        return self.store.address(self.key)

    @property
    def dag_id(self) -> str | None:
        """The DAG's id."""
        return layout.ids_of(self.key)[0]

    @property
    def run_id(self) -> str | None:
        """The run's id."""
        return layout.ids_of(self.key)[1]

    def changed(self) -> float:
        """Return when anything was put last."""
        return max(self.store.objects[name][0] for name in self._names())

    def size(self) -> int:
        """Return how many bytes it has."""
        return sum(len(self.store.objects[name][1]) for name in self._names())

    def remove(self) -> int:
        """Remove the manifests first: no task takes what is left for a list."""
        size = self.size()
        for name in sorted(self._names(), key=lambda name: not name.endswith(layout.MANIFEST)):
            del self.store.objects[name]
        return size

    def _names(self) -> list[str]:
        return [name for name in self.store.objects if name.startswith(f"{self.key}/")]
