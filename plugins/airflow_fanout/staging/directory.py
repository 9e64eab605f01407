"""What a report has in the staging area: its lists, and of each list the shards, generations and tries."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from airflow_fanout import codec
from airflow_fanout.staging import layout
from airflow_fanout.staging.layout import CATCH_UP, GENERATION, LIST, TRY
from airflow_fanout.staging.store import Location, Store, Taken


class ReportDirectory(Location, frozen=True):
    """All lists of one report in one run of a DAG."""

    @classmethod
    def of(cls, store: Store, *, dag_id: str, run_id: str, report: str) -> ReportDirectory:
        """Return the directory of a report."""
        return cls(store, layout.report(dag_id, run_id, report))

    @property
    def in_all_runs(self) -> Location:
        """What names the report in whichever run."""
        return Location(self.store, layout.in_all_runs(self.key))

    def numbered(self, number: int) -> ListDirectory:
        """Return the directory of a list."""
        return ListDirectory(self.store, layout.numbered(self.key, LIST, number))

    def new_list(self) -> ListDirectory:
        """Make a new directory for a list, after all that there are."""
        return self.numbered(self.claim_next(LIST))

    def catch_up(self, number: int) -> ListDirectory:
        """Return the directory of a list of what an earlier run has left out."""
        return ListDirectory(self.store, layout.numbered(self.key, CATCH_UP, number))

    def newest_list(self) -> ListDirectory | None:
        """Return the directory of the newest list."""
        numbers = self.numbers(LIST)
        return self.numbered(numbers[-1]) if numbers else None


class ListDirectory(Location, frozen=True):
    """One frozen list and the results of it. Its text is what `folder.list_at` takes."""

    @property
    def parameters(self) -> Location:
        """The frozen list."""
        return self.below(layout.PARAMETERS)

    @property
    def manifest(self) -> Location:
        """What is known of the list; it is there once the list is whole."""
        return self.below(layout.MANIFEST)

    @property
    def journal(self) -> Location:
        """The results of all shards."""
        return self.below(layout.JOURNAL)

    @property
    def validated(self) -> Location:
        """What has passed validation last."""
        return self.below(layout.VALIDATED)

    @property
    def left_out(self) -> Location:
        """What validate has passed without a good outcome, until load has written the rest."""
        return self.below(layout.LEFT_OUT)

    @property
    def erasing(self) -> Location:
        """That parameters are being erased."""
        return self.below(layout.ERASING)

    @property
    def loaded(self) -> Location:
        """That the list is loaded, and its parameters and results are removed."""
        return self.below(layout.LOADED)

    @property
    def settled(self) -> Location:
        """Of a list of what an earlier run has left out: that nothing of it is left to ask for."""
        return self.below(layout.SETTLED)

    @property
    def history(self) -> Location:
        """The report's good runs, outside of all runs' directories."""
        return Location(self.store, layout.history(self.key))

    @property
    def targets(self) -> Location:
        """The collections that the run's mapped loads write to."""
        return Location(self.store, layout.targets(self.key))

    @property
    def report(self) -> ReportDirectory:
        """The report's directory."""
        return ReportDirectory(self.store, self.key.rpartition("/")[0])

    def shard(self, number: int) -> ShardDirectory:
        """Return the directory of a shard's results."""
        return ShardDirectory(self.store, f"{self.key}/{layout.SHARD.format(number)}")

    def generations(self, shards: int) -> dict[str, int]:
        """Return the current generation of each shard, 0 for one that was never fetched."""
        return {str(number): self.shard(number).current() for number in range(shards)}


class ShardDirectory(Location, frozen=True):
    """The results of one shard, by generation."""

    @property
    def progress(self) -> Location:
        """How far a fetch is; it is written each few seconds."""
        return self.below(layout.PROGRESS)

    def current(self) -> int:
        """Return the newest complete generation, else the newest, else 0."""
        numbers = self.numbers(GENERATION)
        complete = [number for number in numbers if self.generation(number).is_complete]
        return max(complete or numbers, default=0)

    def newest(self) -> int:
        """Return the newest generation, complete or not; 0 if there is none."""
        return max(self.numbers(GENERATION), default=0)

    def generation(self, number: int) -> GenerationDirectory:
        """Return the directory of a generation."""
        return GenerationDirectory(self.store, layout.numbered(self.key, GENERATION, number))

    def is_newest(self, attempt: TryDirectory) -> bool:
        """Return whether no later try has begun than this one."""
        # Asked each second, of what would be later only: in an object storage, each number is a request.
        own = attempt.generation
        later = self.numbers(GENERATION, layout.number_of(own.key) + 1)
        return not later and not own.numbers(TRY, layout.number_of(attempt.key) + 1)


class GenerationDirectory(Location, frozen=True):
    """The journal of one generation: the tries' parts, in order."""

    @property
    def completed(self) -> Location:
        """That a fetch of this generation has come to its end, and which parts there were then."""
        return self.below(layout.COMPLETED)

    @property
    def is_complete(self) -> bool:
        """Whether a fetch of this generation has come to its end."""
        return self.completed.is_there()

    def mark_complete(self, summary: dict[str, Any]) -> None:
        """Remember that the generation is whole; that of an empty list begins with it.

        :param summary: what the fetch has done, as JSON; the parts and their sizes are added.
        """
        with suppress(Taken):
            self.store.create(f"{self.key}/")
        sizes = self.sizes(self.parts())
        self.completed.put_whole(codec.encode({**summary, "parts": sizes}))

    def attempt(self, number: int) -> TryDirectory:
        """Return the directory of a try."""
        return TryDirectory(self.store, layout.numbered(self.key, TRY, number))

    def new_try(self) -> TryDirectory:
        """Make a new directory for the parts of one try, and the generation's, if it is the first."""
        with suppress(Taken):
            self.store.create(f"{self.key}/")
        return self.attempt(self.claim_next(TRY))

    def newest_try(self) -> TryDirectory | None:
        """Return the directory of the newest try."""
        numbers = self.numbers(TRY)
        return self.attempt(numbers[-1]) if numbers else None

    def parts(self) -> list[Location]:
        """Return all parts in the order in which they were begun."""
        return [part for number in self.numbers(TRY) for part in self.attempt(number).parts()]

    def jobs(self) -> list[Location]:
        """Return all files that say which jobs were created, in the order of the tries."""
        return [file for number in self.numbers(TRY) for file in self.attempt(number).jobs_files()]

    def part(self, name: str) -> Location:
        """Return the part that `name_of` has named."""
        return self.below(name)

    def name_of(self, part: Location) -> str:
        """Return what a part is called below this directory, such as `try-0001/part-00000.jsonl.zst`."""
        return part.key.removeprefix(f"{self.key}/")

    def sizes(self, parts: Sequence[Location]) -> dict[str, int]:
        """Return how many bytes parts have, by their names; those that aren't there are left out."""
        sizes = self.store.sizes([part.key for part in parts])
        return {self.name_of(part): sizes[part.key] for part in parts if part.key in sizes}


class TryDirectory(Location, frozen=True):
    """The parts that one execution of fetch writes."""

    def part(self, number: int) -> Location:
        """Return a part."""
        return self.below(layout.PART.format(number))

    def parts(self) -> list[Location]:
        """Return the parts, in the order of their numbers."""
        return [Location(self.store, key) for key in layout.files_of_try(self.key, self.store.names(self.key), "part")]

    def closed(self) -> list[Location]:
        """Return the parts that were marked as closed."""
        return [self.below(name) for name in layout.closed_parts(self.names())]

    def mark_closed(self, part: Location) -> None:
        """Say that nothing is added to a part any more, for whoever sends it on."""
        self.store.put_whole(f"{part.key}{layout.CLOSED}", b"")

    @property
    def generation(self) -> GenerationDirectory:
        """The try's generation."""
        return GenerationDirectory(self.store, self.key.rpartition("/")[0])

    @property
    def shard(self) -> ShardDirectory:
        """The try's shard."""
        return ShardDirectory(self.store, self.generation.key.rpartition("/")[0])

    def jobs_files(self) -> list[Location]:
        """Return the files that say which jobs were created, in the order of their numbers."""
        return [Location(self.store, key) for key in layout.files_of_try(self.key, self.names(), "jobs")]

    def jobs(self, number: int) -> Location:
        """Return the file of an engine that says which jobs it has created."""
        return self.below(layout.JOBS.format(number))
