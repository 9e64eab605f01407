"""The results of a list: the record that counts for each parameter, over all shards."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_fanout.outcome import Record
from airflow_fanout.reconcile import Winners, counting, winners
from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.journal import Snapshot


class Results:
    """One run's results, whichever tries, generations and shards they come from.

    Making it reads the journal's indexes: which record of a parameter is its last one is known at the journal's end
    only. Each call of `records` reads all of it.

    :param directory: the frozen list's directory.
    :param manifest: its manifest.
    """

    def __init__(self, directory: ListDirectory, manifest: Manifest) -> None:
        self.generations = directory.generations(manifest.shards)
        self._shards = [
            (manifest.range_of(number), Snapshot(directory.shard(number).generation(self.generations[str(number)])))
            for number in range(manifest.shards)
        ]
        self._winners: list[Winners] = [winners(records.places(), indexes) for indexes, records in self._shards]

    def records(self) -> Iterator[Record]:
        """Yield exactly one record for each parameter that has any, in the journal's order."""
        for (_, records), chosen in zip(self._shards, self._winners, strict=True):
            yield from counting(records, chosen)

    def missing(self) -> Iterator[int]:
        """Yield the indexes of the parameters that have none."""
        for chosen in self._winners:
            yield from chosen.missing()
