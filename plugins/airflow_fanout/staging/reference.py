"""What extract hands to the later tasks instead of its list: a reference, or one for each shard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # A DAG file that is parsed reads no list.
    from airflow_fanout.staging.directory import ListDirectory
    from airflow_fanout.staging.frozen import Manifest

OUTPUT = "the output of an ExtractOperator, as in parameters=extract.output"

# One reference, or one per shard.
Reference = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def is_reference(value: object) -> bool:
    """Tell whether a value is what extract returns."""
    listed = [value] if isinstance(value, Mapping) else value
    return (
        isinstance(listed, Sequence)
        and bool(listed)
        and not isinstance(listed, str)
        and all(isinstance(reference, Mapping) and "directory" in reference for reference in listed)
    )


def refer(directory: ListDirectory, manifest: Manifest, ending: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return the reference to a frozen list, with its counts, as plain JSON.

    :param directory: the list's.
    :param ending: how the reading of the source ended.
    :param seconds: how long it took.
    """
    return {
        "directory": str(directory),
        "list": manifest.id,
        "parameters": manifest.count,
        "duplicates": manifest.duplicates,
        **ending,
        "catch_up": len(manifest.catch_ups),
        "as_of": manifest.as_of,
        "as_of_from": manifest.as_of_from,
        "day": manifest.day,
        "seconds": round(seconds, 3),
        "rate_per_s": round(manifest.count / seconds, 1) if seconds else 0.0,
    }


def refer_to_shards(reference: Mapping[str, Any], manifest: Manifest) -> list[dict[str, Any]]:
    """Return a reference for each shard of a list, to map fetch over them."""
    ranges = [(shard, manifest.range_of(shard)) for shard in range(manifest.shards)]
    return [{**reference, "shard": shard, "start": span.start, "stop": span.stop} for shard, span in ranges]
