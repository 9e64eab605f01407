"""The author's modules as this process has loaded them: where they lie, and what stood in their files."""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import msgspec

# What is installed changes by an installation only; what Airflow has made up a name for travels by value.
_INSTALLED = ("site-packages", "dist-packages")
_NOT_COMPARED = ("airflow", "airflow_fanout", "airflow_fanout_plugin")
_DAG_FILE = "unusual_prefix_"


class LoadedCode(msgspec.Struct, frozen=True, kw_only=True):
    """What another process needs to run the same code, even when a link on the way to it leads elsewhere by then.

    :param path: `sys.path`, with links resolved.
    :param digests: the SHA-256 of each module's file, by the module's name.
    """

    path: tuple[str, ...]
    digests: Mapping[str, str] = {}

    @classmethod
    def needed(cls, functions: Collection[object]) -> LoadedCode:
        """Return what the engine needs to run functions; without any, only where the installed modules lie.

        The DAG file has just been loaded, and the modules that it imports: this is what the engine has to run.
        """
        return cls.now() if functions else cls(path=tuple(sys.path))

    @classmethod
    def now(cls) -> LoadedCode:
        """Return what this process has loaded; called right after a DAG file was loaded."""
        standard = sysconfig.get_path("stdlib")
        digests = {}
        for name, module in sys.modules.copy().items():
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and _is_an_authors(name, file, standard):
                # One that is gone already can't be loaded by the engine either, which says so.
                with suppress(OSError):
                    digests[name] = digest(file)
        return cls(path=tuple(os.path.realpath(folder) for folder in sys.path), digests=digests)


def digest(file: str) -> str:
    """Return the SHA-256 of a file's content."""
    stat = Path(file).stat()
    # All operators of a DAG file look at the same modules.
    return _digest(os.path.realpath(file), stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=10_000)
def _digest(file: str, *_version: int) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _is_an_authors(name: str, file: str, standard: str) -> bool:
    is_compared = not name.startswith(_DAG_FILE) and name.partition(".")[0] not in _NOT_COMPARED
    is_installed = file.startswith(standard) or any(folder in Path(file).parts for folder in _INSTALLED)
    return is_compared and file.endswith(".py") and not is_installed
