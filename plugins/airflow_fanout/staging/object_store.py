"""An object storage as the staging store: S3, GCS, Azure, whatever fsspec reaches.

Nothing is listed but by the cleaning, nothing is renamed and nothing grows. What has a number is looked for by its
number, and everything else is in a register (`staging/versions.py`).
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count, takewhile
from tempfile import NamedTemporaryFile

import msgspec

from airflow_fanout.staging import layout, object_layout
from airflow_fanout.staging.leftovers import Leftovers
from airflow_fanout.staging.object_runs import RunObjects
from airflow_fanout.staging.objects import CHUNK_BYTES, Objects
from airflow_fanout.staging.store import StagedRun, Taken
from airflow_fanout.staging.temporary import naming_temporary
from airflow_fanout.staging.versions import Register, Versions

# What is larger goes up in several requests, and isn't read into memory before: only frozen lists are.
LARGEST_WHOLE = 4 * CHUNK_BYTES
LOOK_AGAIN_S = 0.5
# A lock whose holder has died is taken over once it hasn't changed for so long: nobody needs one for a minute.
ABANDONED_S = 120.0


class ObjectStore(msgspec.Struct, frozen=True):
    """Objects by their keys.

    :param objects: the storage.
    :param known: what was read of versions before, so that a writer that is alone needn't read them again.
    """

    objects: Objects
    known: dict[str, Versions] = {}

    def address(self, key: str) -> str:
        """Return the address of a key."""
        return self.objects.address_of(key)

    def put_whole(self, key: str, content: bytes) -> None:
        """Put an object in the place of the one that is there; of a history, another version."""
        if object_layout.has_versions(key):
            self._versions(key).change(lambda _: content)
            return
        self._register(key)
        self.objects.put(key, content)

    def create(self, key: str, content: bytes = b"") -> None:
        """Put an object on the condition that there is none; for a claim, one with a content of its own.

        :raises Taken: when it is there.
        """
        self._register(key)
        is_claim = key.endswith("/")
        self.objects.create(object_layout.claim(key), secrets.token_hex(8).encode() if is_claim else content)

    def begin(self, key: str, head: bytes = b"") -> SpooledObject:
        """Open a temporary file, which becomes the object when it is closed.

        :raises FileExistsError: when there is one.
        """
        if self.objects.is_there(key):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self.address(key))
        return SpooledObject(self, key, head)

    def append(self, key: str, content: bytes) -> None:
        """Create another version, which has these bytes at its end."""
        self._versions(key).change(lambda before: before + content)

    @contextmanager
    def locked(self, key: str, wait_s: float) -> Iterator[None]:
        """Create a version that is locked, when the newest one isn't, and another one at the end.

        A lock whose holder has ended in its midst is taken over after two minutes.

        :raises TimeoutError: if another one's lock lasts for longer than `wait_s` seconds.
        """
        versions, until_s = self._versions(key), time.monotonic() + wait_s
        seen, seen_s = -1, 0.0
        while True:
            number, holder = versions.newest()
            if number != seen:
                seen, seen_s = number, time.monotonic()
            is_free = not holder or time.monotonic() - seen_s > ABANDONED_S
            if is_free and versions.create_after(number, b"locked"):
                break
            if time.monotonic() > until_s:
                raise TimeoutError
            time.sleep(LOOK_AGAIN_S)
        try:
            yield
        finally:
            # If another one has taken it over meanwhile, it is that one's.
            versions.create_after(number + 1, b"")

    def read(self, key: str, size: int = sys.maxsize) -> Iterator[bytes]:
        """Yield an object's bytes in chunks of 8 MiB.

        :raises FileNotFoundError: when it isn't there, with the first chunk.
        """
        if object_layout.has_versions(key):
            number, content = self._versions(key).newest()
            if not number:
                raise self._missing(key)
            yield content[:size]
        elif size <= 0:
            if not self.objects.is_there(key):
                raise self._missing(key)
        else:
            yield from self.objects.read(key, size)

    def delete(self, key: str) -> None:
        """Remove an object or a claim; where several may, one of them takes it out of its register.

        :raises FileNotFoundError: when it isn't there.
        """
        self._forget(key)
        self.objects.delete([object_layout.claim(key)])

    def move(self, key: str, to: str) -> None:
        """Put an object under another key, and remove it.

        :raises FileNotFoundError: when it isn't there.
        """
        self.put_whole(to, b"".join(self.read(key)))
        self.delete(key)

    def names(self, key: str) -> list[str]:
        """Return the names that the register of a key has: each was there, or is about to be."""
        return Register(self._versions(key)).names()

    def numbers(self, key: str, kind: str, first: int = 1) -> list[int]:
        """Look for number after number, up to the first that isn't there."""

        def is_there(number: int) -> bool:
            return self.objects.is_there(object_layout.proof_of_number(layout.numbered(key, kind, number), kind))

        return list(takewhile(is_there, count(first)))

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """Return how many bytes these objects have; those that aren't there are left out."""
        sizes = {key: self._size(key) for key in keys}
        return {key: size for key, size in sizes.items() if size is not None}

    def _size(self, key: str) -> int | None:
        if object_layout.has_versions(key):
            number, content = self._versions(key).newest()
            return len(content) if number else None
        return self.objects.size(key)

    def is_there(self, key: str) -> bool:
        """Return whether there is such an object."""
        return self.objects.is_there(key)

    def runs(self, leftovers: Leftovers) -> Iterator[StagedRun]:
        """Yield the runs that the registers have, DAG by DAG."""
        for dag in sorted(self.names("")):
            names: list[str] = []
            with leftovers.going_on():
                names = sorted(self.names(dag))
            for name in names:
                yield RunObjects(self.objects, f"{dag}/{name}", partial(Register(self._versions(dag)).remove, name))

    def finish_removals(self, leftovers: Leftovers) -> None:
        """Do nothing: a run whose removal was interrupted is still in its register."""

    def _versions(self, key: str) -> Versions:
        return self.known.setdefault(key, Versions(self.objects, key))

    def _register(self, key: str) -> None:
        """Write the names by which a key is found, before it is written itself."""
        for above, name in object_layout.registers(key):
            Register(self._versions(above)).add(name)

    def _forget(self, key: str) -> None:
        """Take a key out of its register; raise `FileNotFoundError` if another one has, or if it isn't there."""
        registers = object_layout.registers(key)
        if registers:
            above, name = registers[-1]
            is_there = Register(self._versions(above)).remove(name)
        else:
            is_there = self.objects.is_there(object_layout.claim(key))
        if not is_there:
            raise self._missing(key)

    def _missing(self, key: str) -> FileNotFoundError:
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.address(key))


class SpooledObject:
    """A new object that is written into a temporary file first: in an object storage, nothing can be added to one."""

    def __init__(self, store: ObjectStore, key: str, head: bytes) -> None:
        self._store, self._key = store, key
        with naming_temporary():
            self._file = NamedTemporaryFile(prefix="fanout-")  # noqa: SIM115 - it stays open
        self.write(head)

    def write(self, content: bytes, /) -> None:
        """Add bytes."""
        with naming_temporary():
            self._file.write(content)

    def close(self) -> None:
        """Return when the storage has the object; raise `FileExistsError` if another one has created it."""
        with self._file as file:
            with naming_temporary():
                size = file.tell()
                file.seek(0)
            if size > LARGEST_WHOLE:
                # Nobody else writes into the directory of a list.
                self._store.objects.put_file(self._key, file.name)
                return
            try:
                self._store.create(self._key, file.read())
            except Taken as error:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(error)) from None
