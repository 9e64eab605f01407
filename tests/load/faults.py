"""What can happen to a run's files between two of its tasks; each returns the path that a message must name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_fanout.staging.sealed import write_sealed
from airflow_fanout.staging.store import Location
from tests.load.staged import COUNT, Staged, staged, validate
from tests.staging.places import path_of, written


def truncated(run: Staged) -> Path:
    """A part without its last bytes."""
    part = run.parts[1]
    part.write_bytes(part.read_bytes()[:-40])
    return part


def emptied(run: Staged) -> Path:
    """A part without any bytes."""
    run.parts[2].write_bytes(b"")
    return run.parts[2]


def deleted(run: Staged) -> Path:
    """A part that is gone."""
    part = run.parts[0]
    part.unlink()
    return part


def deleted_newer_try(run: Staged) -> Path:
    """The newest try is gone: the one before has results of the same parameters."""
    part = run.parts[3]
    shutil.rmtree(part.parent)
    return part


def swapped(run: Staged) -> Path:
    """Two parts under each other's names."""
    first, second = run.parts[:2]
    other = first.with_name("other")
    first.rename(other)
    second.rename(first)
    other.rename(second)
    return first


def replaced(run: Staged) -> Path:
    """Another run's results of the same parameters, in the same place."""
    other = staged(path_of(run.directory).parents[2], run_id="tuesday", version=2)
    shutil.copy(other.parts[1], run.parts[1])
    return run.parts[1]


def changed_in_place(run: Staged) -> Path:
    """A part with another byte in its label, which no checksum guards."""
    part = run.parts[1]
    content = bytearray(part.read_bytes())
    content[20] ^= 1
    part.write_bytes(content)
    return part


def a_folder_instead(run: Staged) -> Path:
    """A folder in the place of a part."""
    part = run.parts[1]
    part.unlink()
    part.mkdir()
    return part


def a_pipe_instead(run: Staged) -> Path:
    """A pipe in the place of a part, which nobody writes to."""
    part = run.parts[1]
    part.unlink()
    os.mkfifo(part)
    return part


def journal_of_another_list(run: Staged) -> Path:
    """The journal of another run of the same parameters and the same date."""
    other = staged(path_of(run.directory).parents[2], run_id="tuesday", version=2)
    journal = path_of(run.directory.journal)
    shutil.rmtree(journal)
    shutil.copytree(path_of(other.directory.journal), journal)
    return run.parts[0]


def list_deleted(run: Staged) -> Path:
    """The list is gone."""
    path = path_of(run.directory.parameters)
    path.unlink()
    return path


def list_of_another_run(run: Staged) -> Path:
    """A list without its end."""
    other = staged(path_of(run.directory).parents[2], run_id="tuesday")
    return written(run.directory.parameters, other.directory.parameters.content()[:-1])


def edited(place: Location, **fields: Any) -> Path:
    """Change fields of a JSON file."""
    return written(place, json.dumps({**json.loads(place.content()), **fields}).encode())


def count_changed(run: Staged) -> Path:
    """A manifest that says that there are no parameters."""
    return edited(run.directory.manifest, count=0)


def date_changed(run: Staged) -> Path:
    """A manifest that says another date."""
    return edited(run.directory.manifest, as_of="2026-11-21T00:00:00+00:00")


def fields_changed(run: Staged) -> Path:
    """A manifest that says other fields."""
    return edited(run.directory.manifest, fields=["tel", "name"])


def manifest_of_another_list(run: Staged) -> Path:
    """A whole manifest, of another day."""
    other = staged(path_of(run.directory).parents[2], run_id="tuesday", day=21)
    return written(run.directory.manifest, other.directory.manifest.content())


def manifest_deleted(run: Staged) -> Path:
    """The manifest is gone."""
    path = path_of(run.directory.manifest)
    path.unlink()
    return path


def mark_edited(run: Staged) -> Path:
    """Validate's own account, with another count."""
    return edited(run.directory.validated, kinds={"ok": COUNT - 1})


def mark_with_other_counts(run: Staged) -> Path:
    """The same with a seal that fits."""
    found = json.loads(run.directory.validated.content())
    del found["seal"]
    write_sealed(run.directory.validated, {**found, "kinds": {"ok": COUNT - 1}})
    return path_of(run.directory.validated)


def mark_of_another_list(run: Staged) -> Path:
    """Validate's account of another list."""
    other = staged(path_of(run.directory).parents[2], run_id="tuesday")
    validate(other)
    return written(run.directory.validated, other.directory.validated.content())


def mark_cut(run: Staged) -> Path:
    """Validate's account without its end."""
    return written(run.directory.validated, run.directory.validated.content()[:-5])


def mark_deleted(run: Staged) -> Path:
    """No account of validate's."""
    run.directory.validated.delete()
    return path_of(run.directory)


def unfinished_generation(run: Staged) -> Path:
    """A newer generation that came to its end, and that nobody has judged."""
    run.directory.shard(0).generation(2).mark_complete({})
    return path_of(run.directory)


FAULTS: list[Callable[[Staged], Path]] = [
    truncated,
    emptied,
    deleted,
    deleted_newer_try,
    swapped,
    replaced,
    changed_in_place,
    a_folder_instead,
    a_pipe_instead,
    journal_of_another_list,
    list_deleted,
    list_of_another_run,
    count_changed,
    date_changed,
    fields_changed,
    manifest_of_another_list,
    manifest_deleted,
    mark_edited,
    mark_with_other_counts,
    mark_of_another_list,
    mark_cut,
    mark_deleted,
    unfinished_generation,
]
