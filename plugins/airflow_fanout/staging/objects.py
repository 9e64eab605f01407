"""Whole objects by their keys, through a file system of fsspec's; its errors become those of the operating system."""

from __future__ import annotations

import errno
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import msgspec

from airflow_fanout.staging.errors import StorageMissing
from airflow_fanout.staging.store import Taken

# What is read at once; a part of the journal is about as large.
CHUNK_BYTES = 8 << 20
# When a write on a condition has failed, and nothing is there: another one may have been under way (S3 says 409 then).
PAUSES_S = (0.1, 0.4, 1.6)


class FileSystem(Protocol):
    """The part of fsspec's `AbstractFileSystem` that is used here."""

    def pipe_file(self, path: str, value: bytes, **how: Any) -> Any:
        """Write an object; with `mode="create"`, only if it isn't there."""

    def put_file(self, lpath: str, rpath: str, **how: Any) -> Any:
        """Write a local file as an object, a large one in several requests."""

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> Any:
        """Return the bytes of an object from `start` to before `end`."""

    def info(self, path: str, **how: Any) -> Any:
        """Return what is known of an object."""

    def rm(self, path: Any, **how: Any) -> Any:
        """Remove objects."""

    def find(self, path: str, **how: Any) -> Any:
        """List all objects below a path."""

    def invalidate_cache(self, path: str | None = None) -> Any:
        """Forget what was listed."""


class Objects(msgspec.Struct, frozen=True):
    """An object storage from one place on.

    :param files: its file system.
    :param root: the place in that file system: a bucket, and mostly a prefix.
    :param address: the same place as people and other tasks know it.
    """

    files: FileSystem
    root: str
    address: str

    def address_of(self, key: str) -> str:
        """Return the address of a key."""
        return f"{self.address}/{key}"

    def put(self, key: str, content: bytes) -> None:
        """Write an object, in the place of the one that is there.

        :raises StorageMissing: when there is no such bucket.
        """
        with self._in_its_bucket(), self._named(key):
            self.files.pipe_file(f"{self.root}/{key}", content)

    def put_file(self, key: str, path: str) -> None:
        """Write an object from a local file of any size, in the place of the one that is there.

        :raises StorageMissing: when there is no such bucket.
        """
        with self._in_its_bucket(), self._named(key):
            self.files.put_file(path, f"{self.root}/{key}")

    def create(self, key: str, content: bytes) -> None:
        """Write an object, unless there is one.

        An answer may get lost: if there is an object with the very same content, it is taken for this one.

        :raises Taken: when there is one with another content.
        """
        failure = None
        for pause_s in (*PAUSES_S, None):
            try:
                with self._in_its_bucket(), self._named(key):
                    self.files.pipe_file(f"{self.root}/{key}", content, mode="create")
                return
            except PermissionError:
                raise
            except OSError as error:
                failure = error
            there = self.content(key)
            if there == content:
                return
            if there is not None:
                raise Taken(self.address_of(key)) from None
            time.sleep(pause_s or 0.0)
        if failure is not None:
            raise failure

    def content(self, key: str) -> bytes | None:
        """Return all of an object; `None` if it isn't there."""
        try:
            return b"".join(self.read(key))
        except FileNotFoundError:
            return None

    def read(self, key: str, size: int = sys.maxsize) -> Iterator[bytes]:
        """Yield an object's first `size` bytes, in chunks of 8 MiB; raise `FileNotFoundError` if it isn't there."""
        start = 0
        while start < size:
            stop = min(start + CHUNK_BYTES, size)
            chunk = self._range(key, start, stop)
            yield chunk
            # Past the end of an object nothing can be asked for.
            if start + len(chunk) < stop or (self.size(key) or 0) <= stop:
                return
            start = stop

    def _range(self, key: str, start: int, stop: int) -> bytes:
        try:
            with self._named(key):
                return bytes(self.files.cat_file(f"{self.root}/{key}", start=start, end=stop))
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:
            # An empty object has no range of bytes, and each storage says so in its own way.
            if start == 0 and self.size(key) == 0:
                return b""
            raise

    def is_there(self, key: str) -> bool:
        """Return whether there is an object."""
        try:
            # Of one that isn't there, `info` would list what is below it, as it may be a folder.
            self._range(key, 0, 1)
        except FileNotFoundError:
            return False
        return True

    def size(self, key: str) -> int | None:
        """Return how many bytes an object has; `None` if it isn't there."""
        try:
            with self._named(key):
                info: Mapping[str, Any] = self.files.info(f"{self.root}/{key}")
        except FileNotFoundError:
            return None
        return None if info["type"] == "directory" else int(info["size"])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that aren't there are none to remove.

        :raises OSError: with the address of the first one, when the storage refuses or can't be reached.
        """
        wanted = list(keys)
        with suppress(FileNotFoundError), self._named(wanted[0] if wanted else ""):
            if wanted:
                self.files.rm([f"{self.root}/{key}" for key in wanted])

    def listed(self, key: str) -> dict[str, Mapping[str, Any]]:
        """List all objects below a key, with what is known of each."""
        path = f"{self.root}/{key}"
        with self._named(key):
            self.files.invalidate_cache()
            entries = self.files.find(path, detail=True)
            self.files.invalidate_cache()
        start = len(self.root.strip("/")) + 1
        return {name.strip("/")[start:]: info for name, info in entries.items()}

    @contextmanager
    def _in_its_bucket(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            # A write finds nothing missing but the bucket.
            raise StorageMissing(self.address) from error

    @contextmanager
    def _named(self, key: str) -> Iterator[None]:
        """Make one of the operating system's of whatever error, which names the address that it is about."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - each storage has errors of its own
            kind, code, text = _translated(error)
            failure = kind(code, text, self.address_of(key))
            failure.__cause__ = error
        else:
            return
        raise failure


def _translated(error: Exception) -> tuple[type[OSError], int, str]:
    words = " ".join(str(error).split()) or type(error).__name__
    for kind, code in (
        (FileNotFoundError, errno.ENOENT),
        (PermissionError, errno.EACCES),
        (FileExistsError, errno.EEXIST),
    ):
        if isinstance(error, kind):
            return kind, code, words
    if isinstance(error, OSError):
        return OSError, error.errno or errno.EIO, error.strerror or words
    return OSError, errno.EIO, f"{type(error).__name__}: {words}"
