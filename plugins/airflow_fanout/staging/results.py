"""The results of a list: the record that counts for each parameter, over all shards."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from airflow_fanout.model.outcome import Kind, Record
from airflow_fanout.staging.directory import GenerationDirectory, ListDirectory
from airflow_fanout.staging.errors import NotAsValidated, NotFetched, PartLost, StagingChanged
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.journal import Piece, Snapshot
from airflow_fanout.staging.reconcile import LatestRecords
from airflow_fanout.staging.sealed import read_json
from airflow_fanout.staging.validated import Validated


class Results:
    """One run's results, whichever tries, generations and shards they come from.

    Making it reads the journal's indexes: which record of a parameter is its last one is known at the journal's end
    only. Each call of `records` reads all of it, and checks that it is what was read first.

    :param directory: the frozen list's directory.
    :param manifest: its manifest.
    :param judged: what validate has passed, if only exactly that is wanted; by default all that there is now.
    :raises ForeignPart: for a part of the journal that belongs to another list.
    :raises NotAsValidated: when a part isn't as it was judged.
    """

    def __init__(self, directory: ListDirectory, manifest: Manifest, judged: Validated | None = None) -> None:
        self.generations = judged.generations if judged else directory.generations(manifest.shards)
        self._directory = directory
        self._list_id = manifest.id
        self._erased = frozenset(manifest.erased)
        self._judged = judged
        self._shards = [(manifest.range_of(number), self._snapshot(number)) for number in range(manifest.shards)]
        self._latest = [LatestRecords(records.places(), indexes) for indexes, records in self._shards]

    def _snapshot(self, shard: int) -> Snapshot:
        generation = self._directory.shard(shard).generation(self.generations[str(shard)])
        if self._judged is None:
            return Snapshot(generation, self._list_id)
        parts = self._judged.parts[str(shard)]
        pieces = [Piece(generation.part(name), size, digest, is_judged=True) for name, size, digest in parts]
        for piece in pieces:
            piece.check_size()
        return Snapshot(generation, pieces=pieces)

    def records(self) -> Iterator[Record]:
        """Yield exactly one record for each parameter that has any, in the journal's order.

        :raises NotAsValidated: at the end, when another number of them is good than validate has counted.
        :raises StagingChanged: when the journal isn't what was read first.
        """
        good = 0
        for (_, records), latest in zip(self._shards, self._latest, strict=True):
            count = 0
            for record in latest.of(records):
                count += 1
                good += record.kind is Kind.OK
                yield record
            if count != latest.count:
                raise StagingChanged(str(self._directory.journal), "was changed while it was read")
        if self._judged is not None and good != self._judged.kinds.get(Kind.OK, 0):
            problem = f"doesn't count the {good:,} good results that are there"
            raise NotAsValidated(str(self._directory.validated), problem)

    def refused(self, accepted: Collection[str]) -> Iterator[Record]:
        """Yield the record of each parameter whose outcome is of none of these kinds, in the journal's order.

        :raises StagingChanged: when the journal isn't what was read first.
        """
        for (_, records), latest in zip(self._shards, self._latest, strict=True):
            count = 0
            for record in latest.of(records.refused(accepted)):
                count += 1
                if isinstance(record, Record):
                    yield record
            if count != latest.count:
                raise StagingChanged(str(self._directory.journal), "was changed while it was read")

    def missing(self) -> Iterator[int]:
        """Yield the indexes of the parameters that have none, those that were erased left out."""
        for latest in self._latest:
            yield from (index for index in latest.missing() if index not in self._erased)

    def validated(self, kinds: Mapping[Kind, int], left_out: int = 0) -> Validated:
        """Return the account of what was read here.

        :param kinds: how many parameters have which outcome.
        :param left_out: how many are left for a later run.
        """
        parts = {}
        for number, (_, records) in enumerate(self._shards):
            name_of = self._directory.shard(number).generation(self.generations[str(number)]).name_of
            parts[str(number)] = [(name_of(piece.location), piece.size, piece.digest or "") for piece in records.pieces]
        return Validated(
            list_id=self._list_id,
            generations=self.generations,
            parts=parts,
            kinds={str(kind): count for kind, count in kinds.items()},
            left_out=left_out,
        )


def contents_of(directory: ListDirectory, manifest: Manifest) -> tuple[tuple[str, int], ...]:
    """Return the addresses and sizes of the journal's parts: while they stay the same, so do the results.

    A part only grows, and what is erased from one changes the manifest as well.
    """
    contents: list[tuple[str, int]] = []
    for number, newest in directory.generations(manifest.shards).items():
        generation = directory.shard(int(number)).generation(newest)
        contents += ((f"{generation}/{name}", size) for name, size in generation.sizes(generation.parts()).items())
    return tuple(contents)


def check_fetched(directory: ListDirectory, manifest: Manifest) -> None:
    """Check that fetch has come to its end for each shard, and that what it left is still there.

    :raises NotFetched: when it hasn't begun, or isn't at its end.
    :raises PartLost: when a file of the journal is missing or has become shorter.
    """
    for number in range(manifest.shards):
        shard = directory.shard(number)
        of_shard = f" of shard {number}" if manifest.shards > 1 else ""
        if not shard.current():
            raise NotFetched(str(shard), f"The fetch task{of_shard} hasn't run yet")
        generation = shard.generation(shard.current())
        if not generation.is_complete:
            raise NotFetched(str(generation), f"The fetch task{of_shard} still runs, or has failed")
        check_parts(generation)


def check_parts(generation: GenerationDirectory) -> None:
    """Check that what a fetch has left of a complete generation is still there.

    :raises PartLost: when a file is missing or has become shorter.
    """
    left = read_json(generation.completed).get("parts", {})
    sizes = generation.sizes([generation.part(name) for name in left])
    for name, size in left.items():
        if name not in sizes:
            raise PartLost(str(generation.part(name)), "isn't there any more")
        if sizes[name] < size:
            problem = f"has {sizes[name]:,} bytes, and fetch has left {size:,}"
            raise PartLost(str(generation.part(name)), problem)
