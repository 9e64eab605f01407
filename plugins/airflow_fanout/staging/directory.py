"""Where everything of a run lies.

    <staging>/<dag_id>/<run_id>/<report>/list-0001/
        parameters.jsonl.zst    the frozen list: one parameter a line; its line number is its index
        manifest.json           what is known of the list
        journal/shard-0000/generation-0001/try-0001/part-00000.jsonl.zst
        journal/shard-0000/generation-0001/complete.json
        journal/shard-0000/progress.json    how far the fetch was when it was seen last
        validated.json          which generations a validate task has passed
    <staging>/<dag_id>/.history/<report>.jsonl    what the report's good runs were like
    <staging>/<dag_id>/.history/failed/           the failed runs of which no recovery was told yet

Each execution of extract makes a list of its own, so that whatever still runs on an older one does no harm.
A new generation begins when validated results are fetched anew; a try is one execution of fetch.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from airflow_fanout import codec
from airflow_fanout.errors import StagingLost

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


@dataclass(frozen=True)
class ReportDirectory:
    """All lists of one report in one run of a DAG."""

    path: Path

    @classmethod
    def of(cls, staging: Path, *, dag_id: str, run_id: str, report: str) -> ReportDirectory:
        """Return the directory of a report; nothing in its name is unescaped user input."""
        return cls(staging / file_name(dag_id) / file_name(run_id) / file_name(report))

    def new_list(self) -> ListDirectory:
        """Make a new directory for a list, after all that there are."""
        return ListDirectory(_make_next(self.path, "list"))


@dataclass(frozen=True)
class ListDirectory:
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
    def history(self) -> Path:
        """The file of the report's good runs, outside of all runs' directories."""
        report = self.path.parent
        return report.parents[1] / ".history" / f"{report.name}.jsonl"

    def mark_validated(self, generations: dict[str, int]) -> None:
        """Remember that these generations have passed validation."""
        write_whole(self.path / "validated.json", codec.encode(generations))

    def validated(self) -> dict[str, int]:
        """Return the generations that have passed validation last, none if none has."""
        found: dict[str, int] = read_json(self.path / "validated.json", missing={})
        return found

    def unmark_validated(self) -> None:
        """Forget that a validation was passed."""
        (self.path / "validated.json").unlink(missing_ok=True)


@dataclass(frozen=True)
class ShardDirectory:
    """The results of one shard, by generation."""

    path: Path

    @property
    def progress(self) -> Path:
        """The file that says how far a fetch is; it is written each few seconds."""
        return self.path / "progress.json"

    def current(self) -> int:
        """Return the newest complete generation, else the newest, else 0."""
        numbers = list(_numbers(self.path, "generation"))
        complete = [number for number in numbers if self.generation(number).is_complete]
        return max(complete or numbers, default=0)

    def newest(self) -> int:
        """Return the newest generation, complete or not; 0 if there is none."""
        return max(_numbers(self.path, "generation"), default=0)

    def generation(self, number: int) -> GenerationDirectory:
        """Return the directory of a generation."""
        return GenerationDirectory(self.path / f"generation-{number:04d}")

    def is_newest(self, directory: Path) -> bool:
        """Return whether no later try has begun than the one with this directory."""
        return self.generation(self.newest()).newest_try() == directory


@dataclass(frozen=True)
class GenerationDirectory:
    """The journal of one generation: the tries' parts, in order."""

    path: Path

    @property
    def is_complete(self) -> bool:
        """Whether a fetch of this generation has come to its end."""
        return (self.path / "complete.json").exists()

    def mark_complete(self, summary: dict[str, Any]) -> None:
        """Remember that the generation is whole, with its summary; that of an empty list begins with it."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / "complete.json", codec.encode(summary))

    def new_try(self) -> Path:
        """Make a new directory for the parts of one try."""
        return _make_next(self.path, "try")

    def newest_try(self) -> Path | None:
        """Return the directory of the newest try."""
        return max(self.path.glob("try-[0-9]*"), default=None)

    def parts(self) -> list[Path]:
        """Return all parts in the order in which they were begun."""
        return sorted(self.path.glob("try-*/part-*.jsonl.zst"))


def _numbers(path: Path, prefix: str) -> Iterator[int]:
    for found in path.glob(f"{prefix}-[0-9]*"):
        yield int(found.name.removeprefix(f"{prefix}-"))


def _make_next(path: Path, prefix: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    while True:
        made = path / f"{prefix}-{max(_numbers(path, prefix), default=0) + 1:04d}"
        try:
            made.mkdir()
        except FileExistsError:
            # Somebody else has begun at the same moment: the number after that one is ours.
            continue
        return made


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, also after a power failure; the last writer wins."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with unfinished.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_json(path: Path, *, missing: Any = None) -> Any:
    """Return a JSON file's value; `missing` if there is no such file.

    :raises StagingLost: when it isn't JSON, or isn't there and there is no `missing`.
    """
    try:
        return codec.decode(path.read_bytes())
    except FileNotFoundError:
        if missing is None:
            raise StagingLost(str(path), "isn't there") from None
        return missing
    except codec.NotJson as error:
        raise StagingLost(str(path), f"isn't what was written ({error})") from error
