"""Stores in object storages: in memory, and on an S3 server."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem
from s3fs import S3FileSystem

from airflow_fanout.staging.object_store import ObjectStore
from airflow_fanout.staging.objects import FileSystem, Objects
from harness.s3 import S3Server

# Each store has a prefix of its own, on whichever server or in the one memory that there is.
_prefixes = itertools.count()


def new_prefix() -> str:
    """Return a prefix that no other store has."""
    return f"test-{next(_prefixes)}"


class AtomicMemory(MemoryFileSystem):
    """fsspec's file system in memory, which looks and writes as one step."""

    cachable = False
    lock = threading.Lock()

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        with self.lock:
            super().pipe_file(path, value, mode=mode, **kwargs)


def store_in(files: FileSystem, bucket: str = "staging", scheme: str = "memory") -> ObjectStore:
    """Return an empty store at a prefix of its own."""
    root = f"{bucket}/{new_prefix()}"
    return ObjectStore(Objects(files, root, f"{scheme}://{root}"))


def memory_store() -> ObjectStore:
    """Return an empty store in memory."""
    return store_in(AtomicMemory())


def s3_store(server: S3Server) -> ObjectStore:
    """Return an empty store on an S3 server."""
    return store_in(S3FileSystem(**server.options), scheme="s3")


def store_in_s3(options: Mapping[str, Any], address: str) -> ObjectStore:
    """Return the store at an address, such as a task of Airflow's has it.

    :param options: of the server, as `S3Server.options` has them.
    """
    root = address.partition("://")[2].rpartition("@")[2]
    return ObjectStore(Objects(S3FileSystem(**options), root, address))
