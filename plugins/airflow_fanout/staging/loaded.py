"""What stays of a list whose report keeps nothing once it is loaded: that it was loaded, and what the load returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.layout import CATCH_UP, GENERATION, LIST, TRY
from airflow_fanout.staging.sealed import read_sealed, write_sealed
from airflow_fanout.staging.store import Location


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """That a list was loaded.

    :param clearing: how often the run had been cleared by then; a load with the same number is a retry.
    :param summary: what the load returned, as JSON.
    """

    clearing: int
    summary: Mapping[str, Any]


def read_loaded(directory: ListDirectory) -> Loaded | None:
    """Return that a list was loaded and its data removed; `None` if its data is there.

    :raises StagingChanged: when it isn't what was written.
    """
    return read_sealed(directory.loaded, Loaded)


def keep_only(directory: ListDirectory, loaded: Loaded) -> None:
    """Remove all parameters and results that a report has in a run, and remember that they were loaded.

    What holds neither stays: the manifest, the progress, and what a message about earlier runs still needs. It may be
    interrupted, and be called again.

    :param directory: the list that was loaded; those of earlier executions of extract go, too.
    """
    write_sealed(directory.loaded, loaded)
    report = directory.report
    own = [report.numbered(number) for number in report.numbers(LIST)]
    for each in (*own, *(report.catch_up(number) for number in report.numbers(CATCH_UP))):
        for location in _with_data(each):
            with suppress(FileNotFoundError):
                location.delete()


def _with_data(directory: ListDirectory) -> Iterator[Location]:
    """Yield what holds parameters or results; the account of them first, so that nobody takes half of them for all."""
    yield from (directory.validated, directory.parameters, directory.left_out)
    manifest = read_sealed(directory.manifest, Manifest)
    # A list that was never whole has no results.
    for number in range(manifest.shards if manifest is not None else 0):
        shard = directory.shard(number)
        for generation in map(shard.generation, shard.numbers(GENERATION)):
            for attempt in map(generation.attempt, generation.numbers(TRY)):
                yield from map(attempt.below, attempt.names())
