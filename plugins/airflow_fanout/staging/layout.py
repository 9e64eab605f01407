"""The layout of the staging area: the key of everything that is in it. No other file knows one of these names.

    <dag_id>/<run_id>/<report>/list-0001/
        parameters.jsonl.zst    the frozen list: one parameter a line; its line number is its index
        manifest.json           what is known of the list
        journal/shard-0000/generation-0001/try-0001/part-00000.jsonl.zst
        journal/shard-0000/generation-0001/try-0001/jobs-00000.jsonl.zst  which jobs the API was asked to create
        journal/shard-0000/generation-0001/complete.json
        journal/shard-0000/progress.json    how far the fetch was when it was seen last
        validated.json          what a validate task has passed: generations, files, counts, and their digest
        left-out.jsonl.zst      the parameters without a good outcome that it has passed all the same
        erasing.json            that parameters are being erased; nothing of the list is used until that is done
        loaded.json             of a report that keeps nothing: that it is loaded, and the rest removed
    <dag_id>/<run_id>/<report>/catchup-0001/    as a list, for what an earlier run has left out
        settled.json            that nothing of it is left to ask for, until an alert says so
    <dag_id>/<run_id>/.targets/             which collections the instances of a mapped load write to
    <dag_id>/.history/<report>.jsonl        what the report's good runs were like
    <dag_id>/.history/failed/<run_id>.json  a failed run whose recovery isn't reported yet
    <dag_id>/.history/left-out/<report>/<run_id>/   what a run has left out, and which later run asks for it
    .locks/<name>                           locked while one task uses the refresh token in an Airflow Variable

Each execution of extract makes a list of its own, so that whatever still runs on an older one does no harm.
A new generation begins when validated results are fetched again; a try is one execution of fetch.

A key is a relative path with slashes. One that ends in a slash is a folder's claim: a name without content.
Other names are nobody's: an editor's backup, a copy or a file system's own file changes nothing.
In an object storage there is more below some keys: see `staging/object_layout.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Literal
from urllib.parse import quote, unquote

# File systems allow 255 bytes for a name; a longer one is cut and made unique by its digest.
LONGEST_NAME = 200
# How many names lead from the staging area to a list.
LIST_DEPTH = 4
LIST, CATCH_UP, GENERATION, TRY, HELD = "list", "catchup", "generation", "try", "held"
# Below a list.
PARAMETERS, MANIFEST, VALIDATED, JOURNAL = "parameters.jsonl.zst", "manifest.json", "validated.json", "journal"
LEFT_OUT, SETTLED, LOADED, ERASING = "left-out.jsonl.zst", "settled.json", "loaded.json", "erasing.json"
# Below a list the results of a shard, and below a try a part of the journal, each with its number.
SHARD, PART, JOBS = "journal/shard-{:04d}", "part-{:05d}.jsonl.zst", "jobs-{:05d}.jsonl.zst"
# Below a shard, and below a generation.
PROGRESS, COMPLETED = "progress.json", "complete.json"
# What the name of a part ends with that doesn't count, and what that of a run begins with that is being removed.
DAMAGED, REMOVED = ".damaged", ".removed-"
# What the name of a part ends with that says that the part is closed, for whoever sends it on.
CLOSED = ".closed"
_NUMBERED = re.compile(r"([a-z]+)-([0-9]{4,})")
_PART = re.compile(r"(part|jobs)-([0-9]{5,})\.jsonl\.zst")
HISTORY = ".history"
TARGETS = ".targets"
LOCKS = ".locks"
# Where a DAG, a run or a report would be: the histories of runs, and what a file system keeps on a disk of its own.
NOT_RUNS = (HISTORY, LOCKS, "lost+found")
LEFT_OUTS, FAILED = "left-out", "failed"


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


def lock(name: str) -> str:
    """Return the key of the file that is locked while one task uses what has a name."""
    return f"{LOCKS}/{file_name(name)}"


def run(dag_id: str, run_id: str) -> str:
    """Return the key of a run; nothing in a key is unescaped user input."""
    return f"{file_name(dag_id)}/{file_name(run_id)}"


def ids_of(run_key: str) -> tuple[str | None, str | None]:
    """Return the ids of the DAG and of the run that a key belongs to; `None` for a name that can't be read back."""
    dag, _, name = run_key.rpartition("/")
    return text_of(dag.rpartition("/")[2]), text_of(name)


def report(dag_id: str, run_id: str, name: str) -> str:
    """Return the key of a report's lists in one run."""
    return f"{run(dag_id, run_id)}/{file_name(name)}"


def report_in_other_runs(list_key: str, names_below: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the keys that a list's report has, or would have, in other runs of its DAG.

    :param names_below: returns the names that are below a key; it is called for the DAG's.
    """
    dag, own, name, _ = list_key.rsplit("/", 3)
    return [f"{dag}/{run}/{name}" for run in sorted(names_below(dag)) if run not in (own, *NOT_RUNS)]


def possible(names: Iterable[str]) -> list[str]:
    """Return the names that may be those of DAGs or of runs, in order."""
    return sorted(name for name in names if name not in NOT_RUNS and not name.startswith(REMOVED))


def reports(run_key: str, names: Iterable[str]) -> list[str]:
    """Return the keys of the names that may be reports of a run, in order."""
    return [f"{run_key}/{name}" for name in sorted(names) if name != TARGETS]


def parts_of_address(address: str) -> tuple[str, str]:
    """Return the staging area that a list's address lies in, and the list's key there."""
    names = address.rsplit("/", LIST_DEPTH)
    return names[0], "/".join(names[1:])


def in_all_runs(report_key: str) -> str:
    """Return what names a report in whichever run, for people; mapped ones are one, as all runs are."""
    dag, _, name = report_key.rsplit("/", 2)
    return f"{dag}/{{run_id}}/{name.partition('@')[0]}"


def numbered(key: str, kind: str, number: int) -> str:
    """Return the key of a list, a generation or a try below another key."""
    return f"{key}/{kind}-{number:04d}"


def number_of(key: str) -> int:
    """Return the number of the list, generation or try that has a key."""
    return int(key.rpartition("-")[2])


def numbers(names: Iterable[str], kind: str) -> list[int]:
    """Return the numbers of the names that are of one kind, in order."""
    matches = [match for name in names if (match := _NUMBERED.fullmatch(name)) and match[1] == kind]
    # One number has one name: "try-00001" is somebody's copy.
    return sorted(int(match[2]) for match in matches if match[0] == f"{kind}-{int(match[2]):04d}")


def files_of_try(try_key: str, names: Iterable[str], kind: Literal["part", "jobs"]) -> list[str]:
    """Return the keys of the names that are of one kind, in the order of their numbers; copies and backups are none.

    :param kind: parts of the journal, or the files that say which jobs were created.
    """
    matches = [match for name in names if (match := _PART.fullmatch(name)) and match[1] == kind]
    return [f"{try_key}/{match[0]}" for match in sorted(matches, key=lambda match: (int(match[2]), match[0]))]


def closed_parts(names: Iterable[str]) -> list[str]:
    """Return those of a try's names that are parts to which nothing is added any more."""
    there = set(names)
    return sorted(name for name in there if f"{name}{CLOSED}" in there)


def is_of_try(name: str) -> bool:
    """Return whether a name is a part's, that of one that was put aside, or that of a file of jobs."""
    return _PART.fullmatch(name.removesuffix(DAMAGED)) is not None


def place_in_journal(part_key: str) -> str:
    """Return where a part is below its journal: its shard, generation, try and number."""
    return "/".join(part_key.split("/")[-4:])


def history(list_key: str) -> str:
    """Return the key of the good runs of a list's report, outside of all runs."""
    dag, _, name, _ = list_key.rsplit("/", 3)
    return f"{dag}/{HISTORY}/{name}.jsonl"


def left_outs_below(dag_key: str) -> str:
    """Return the key of what the runs of a DAG have left out, by reports."""
    return f"{dag_key}/{HISTORY}/{LEFT_OUTS}"


def left_outs(list_key: str) -> str:
    """Return the key of what the runs of a list's report have left out."""
    dag, _, name, _ = list_key.rsplit("/", 3)
    return f"{left_outs_below(dag)}/{name}"


def failures(dag_id: str) -> str:
    """Return the key of a DAG's failed runs."""
    return f"{file_name(dag_id)}/{HISTORY}/{FAILED}"


def failure(failures_key: str, run_id: str) -> str:
    """Return the key of a failed run."""
    return f"{failures_key}/{file_name(run_id)}.json"


def failure_keys(failures_key: str, names: Iterable[str]) -> list[str]:
    """Return the keys of the names that are failed runs; what is still being written begins with a dot."""
    return [f"{failures_key}/{name}" for name in names if name.endswith(".json") and not name.startswith(".")]


def targets(list_key: str) -> str:
    """Return the key of the collections that the mapped loads of a list's run write to."""
    return f"{list_key.rsplit('/', 2)[0]}/{TARGETS}"


def target(targets_key: str, name: str, map_index: int) -> str:
    """Return the key of one instance's claim to a collection."""
    return f"{targets_key}/{name}@{map_index}/"


def claimants(names: Iterable[str], name: str) -> list[int]:
    """Return the map indexes of the instances that claim a collection."""
    return [int(index) for claimed, _, index in (each.partition("@") for each in names) if claimed == name]
