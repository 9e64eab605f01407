"""Where everything of a run lies.

    <staging>/<dag_id>/<run_id>/<report>/list-0001/
        parameters.jsonl.zst    the frozen list: one parameter a line; its line number is its index
        manifest.json           what is known of the list
        journal/shard-0000/generation-0001/try-0001/part-00000.jsonl.zst
        journal/shard-0000/generation-0001/complete.json
        journal/shard-0000/progress.json    how far the fetch was when it was seen last
        validated.json          what a validate task has passed: generations, files, counts, and their digest
    <staging>/<dag_id>/.history/<report>.jsonl    what the report's good runs were like
    <staging>/<dag_id>/.history/failed/           the failed runs whose recovery isn't reported yet

Each execution of extract makes a list of its own, so that whatever still runs on an older one does no harm.
A new generation begins when validated results are fetched again; a try is one execution of fetch.

Other names are nobody's: an editor's backup, a copy or a file system's own file changes nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from airflow_fanout import codec
from airflow_fanout.staging.files import PRIVATE, make_folder, make_new_folder, write_whole
from airflow_fanout.staging.listing import is_there, numbered, numbered_name, parts

# File systems allow 255 bytes for a name; a longer one is cut and made unique by its digest.
LONGEST_NAME = 200


def file_name(text: str) -> str:
    """Return any text as the name of one file, different for different texts."""
    name = quote(text, safe=" +@=,") or "%"
    name = name.replace(".", "%2E") if name.strip(".") == "" else name
    if len(name) <= LONGEST_NAME:
        return name
    # A "!" is in no name that wasn't cut: `quote` escapes it.
    return f"{name[: LONGEST_NAME - 17]}!{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def text_of(name: str) -> str | None:
    """Return the text that `file_name` has made a name of; `None` for one that was cut."""
    return None if "!" in name else unquote(name)


class ReportDirectory(msgspec.Struct, frozen=True):
    """All lists of one report in one run of a DAG."""

    path: Path

    @classmethod
    def of(cls, staging: Path, *, dag_id: str, run_id: str, report: str) -> ReportDirectory:
        """Return the directory of a report; nothing in its name is unescaped user input."""
        return cls(staging / file_name(dag_id) / file_name(run_id) / file_name(report))

    def new_list(self, mode: int = PRIVATE) -> ListDirectory:
        """Make a new directory for a list, after all that there are.

        :param mode: the mode of the folders that are made; what is made below the list's has the same.
        """
        return ListDirectory(_make_next(self.path, "list", mode))

    def newest_list(self) -> ListDirectory | None:
        """Return the directory of the newest list."""
        lists = numbered(self.path, "list")
        return ListDirectory(lists[-1][1]) if lists else None


class ListDirectory(msgspec.Struct, frozen=True):
    """One frozen list and the results of it."""

    path: Path

    @property
    def parameters(self) -> Path:
        """The file of the frozen list."""
        return self.path / "parameters.jsonl.zst"

    @property
    def manifest(self) -> Path:
        """The file that says what is known of the list; it is there once the list is whole."""
        return self.path / "manifest.json"

    def shard(self, number: int) -> ShardDirectory:
        """Return the directory of a shard's results."""
        return ShardDirectory(self.path / "journal" / f"shard-{number:04d}")

    def generations(self, shards: int) -> dict[str, int]:
        """Return the current generation of each shard, 0 for one that was never fetched."""
        return {str(number): self.shard(number).current() for number in range(shards)}

    @property
    def validated(self) -> Path:
        """The file that says what has passed validation last."""
        return self.path / "validated.json"

    @property
    def history(self) -> Path:
        """The file of the report's good runs, outside of all runs' directories."""
        report = self.path.parent
        return report.parents[1] / ".history" / f"{report.name}.jsonl"


class ShardDirectory(msgspec.Struct, frozen=True):
    """The results of one shard, by generation."""

    path: Path

    @property
    def progress(self) -> Path:
        """The file that says how far a fetch is; it is written each few seconds."""
        return self.path / "progress.json"

    def current(self) -> int:
        """Return the newest complete generation, else the newest, else 0."""
        numbers = [number for number, _ in numbered(self.path, "generation")]
        complete = [number for number in numbers if self.generation(number).is_complete]
        return max(complete or numbers, default=0)

    def newest(self) -> int:
        """Return the newest generation, complete or not; 0 if there is none."""
        return max((number for number, _ in numbered(self.path, "generation")), default=0)

    def generation(self, number: int) -> GenerationDirectory:
        """Return the directory of a generation."""
        return GenerationDirectory(self.path / numbered_name("generation", number))

    def is_newest(self, directory: Path) -> bool:
        """Return whether no later try has begun than the one with this directory."""
        return self.generation(self.newest()).newest_try() == directory


class GenerationDirectory(msgspec.Struct, frozen=True):
    """The journal of one generation: the tries' parts, in order."""

    path: Path

    @property
    def completed(self) -> Path:
        """The file that says that a fetch of this generation has come to its end, and which parts there were then."""
        return self.path / "complete.json"

    @property
    def is_complete(self) -> bool:
        """Whether a fetch of this generation has come to its end."""
        return is_there(self.completed)

    def mark_complete(self, summary: dict[str, Any]) -> None:
        """Remember that the generation is whole, with its summary; that of an empty list begins with it."""
        make_folder(self.path)
        sizes = {self.name_of(part): part.stat().st_size for part in self.parts()}
        write_whole(self.completed, codec.encode({**summary, "parts": sizes}))

    def new_try(self) -> Path:
        """Make a new directory for the parts of one try."""
        return _make_next(self.path, "try")

    def newest_try(self) -> Path | None:
        """Return the directory of the newest try."""
        tries = numbered(self.path, "try")
        return tries[-1][1] if tries else None

    def parts(self) -> list[Path]:
        """Return all parts in the order in which they were begun."""
        return [part for _, attempt in numbered(self.path, "try") for part in parts(attempt)]

    def name_of(self, part: Path) -> str:
        """Return what a part is called below this directory, such as `try-0001/part-00000.jsonl.zst`."""
        return part.relative_to(self.path).as_posix()


def _make_next(path: Path, prefix: str, mode: int | None = None) -> Path:
    make_folder(path, mode)
    number = max((number for number, _ in numbered(path, prefix)), default=0)
    while True:
        # If somebody else has begun at the same moment, the number after that one is ours.
        number += 1
        made = path / numbered_name(prefix, number)
        try:
            make_new_folder(made, mode)
        except FileExistsError:
            continue
        return made
