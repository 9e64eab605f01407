"""What load may take: results that validate has passed, and that nobody has changed since."""

from __future__ import annotations

from airflow_fanout.staging.directory import ListDirectory
from airflow_fanout.staging.frozen import Manifest
from airflow_fanout.staging.results import Results
from airflow_fanout.staging.validated import Validated, read_validated
from airflow_fanout.validation.errors import NotValidated


def passed_results(directory: ListDirectory, manifest: Manifest) -> tuple[Validated, Results]:
    """Return the account of the validation that a list has passed, and its results.

    :raises NotValidated: when it has passed none, or others than those of the current generations.
    :raises NotAsValidated: when a part isn't as it was judged.
    """
    judged = read_validated(directory, manifest.id)
    if judged is None or judged.generations != directory.generations(manifest.shards):
        raise NotValidated(str(directory))
    return judged, Results(directory, manifest, judged)
