"""The objects of one run in an object storage, found by one listing, and removed. Only the cleaning comes here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_fanout.staging import layout
from airflow_fanout.staging.objects import Objects

# What the file systems of fsspec call the moment at which an object was put.
CHANGED = ("LastModified", "mtime", "last_modified", "updated", "created")


class RunObjects:
    """All that a run has in an object storage.

    :param forget: takes the run out of its register.
    """

    def __init__(self, objects: Objects, key: str, forget: Callable[[], object]) -> None:
        self._objects, self._key, self._forget = objects, key, forget

    def __str__(self) -> str:
        return self._objects.address_of(self._key)

    @property
    def dag_id(self) -> str | None:
        """The DAG's id."""
        return layout.ids_of(self._key)[0]

    @property
    def run_id(self) -> str | None:
        """The run's id."""
        return layout.ids_of(self._key)[1]

    @cached_property
    def _listed(self) -> dict[str, Mapping[str, Any]]:
        return self._objects.listed(self._key)

    def changed(self) -> float:
        """Return when an object was put last, in seconds since 1970; 0 if there is none."""
        return max(map(_moment, self._listed.values()), default=0.0)

    def size(self) -> int:
        """Return how many bytes its objects have."""
        return sum(int(info["size"]) for info in self._listed.values())

    def remove(self) -> int:
        """Remove its objects, and return how many bytes they had."""
        size = self.size()
        manifests = {key for key in self._listed if key.endswith(f"/{layout.MANIFEST}")}
        # Without its manifest a list is none, whatever is left of it; and what is left is found by the register.
        self._objects.delete(sorted(manifests))
        self._objects.delete(sorted(self._listed.keys() - manifests))
        self._forget()
        return size


def _moment(info: Mapping[str, Any]) -> float:
    value = next((info[name] for name in CHANGED if info.get(name)), 0.0)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.timestamp() if isinstance(value, datetime) else float(value)
