"""The engine imports an author's modules only as its parent has loaded them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from airflow_fanout.launch.loaded_code import digest


class CodeChanged(ImportError):
    """A module's file isn't what the task has loaded."""

    def __str__(self) -> str:
        return (
            f"{self.path} (module {self.name}) has changed since this task loaded its DAG file: the function would run "
            "with other code than the DAG's. The next try loads the new version of both."
        )


def import_the_same(digests: Mapping[str, str]) -> None:
    """Refuse, from now on, to import a module whose file differs from what the parent has loaded.

    :param digests: the SHA-256 of the modules' files, by their names.
    """
    sys.meta_path.insert(0, _TheSame(digests))


class _TheSame(MetaPathFinder):
    """Finds the modules that the parent has loaded, as long as they are the same."""

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = digests

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where a module is; leave those that the parent doesn't have to the other finders."""
        if name not in self._digests:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin and digest(spec.origin) != self._digests[name]:
            raise CodeChanged(name=name, path=spec.origin)
        return spec
