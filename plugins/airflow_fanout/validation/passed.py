"""What load may take: results that validate has passed, and that nobody has changed since."""

from __future__ import annotations

from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.results import Results
from airflow_fanout.staging.validated import read_validated
from airflow_fanout.validation.errors import NotValidated


def passed_results(directory: ListDirectory, manifest: Manifest) -> Results:
    """Return the results of a list that validate has passed.

    :raises NotValidated: when it has passed none, or others than those of the current generations.
    :raises NotAsValidated: when a part isn't as it was judged.
    """
    judged = read_validated(directory, manifest.id)
    if judged is None or judged.generations != directory.generations(manifest.shards):
        raise NotValidated(str(directory))
    return Results(directory, manifest, judged)
