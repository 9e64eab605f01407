"""Freezes a list of each size from each source, one after the other, and prints the peaks of this process in MB.

python -m tests.sources.memory '[["SqlList", {"conn_id": "warehouse", …}]]' 10000 1000000
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import airflow_fanout
from airflow_fanout.model.as_of import AsOf
from airflow_fanout.sources.source import to_source
from airflow_fanout.staging.frozen import Selection, freeze
from bench.scale import peak_mb
from tests.sources.reading import Access
from tests.staging.places import report_at

AS_OF = AsOf(moment=datetime(2026, 11, 22, tzinfo=UTC), day="2026-11-22", source="data_interval")
NAMES = ("id",)


def declared(kind: str, options: dict[str, Any]) -> Callable[[int], Any]:
    """Return what makes the source of a number of rows; `{n}` in a text of its options stands for that."""
    if kind == "function":
        return lambda number: lambda: ({"id": f"C{place}"} for place in range(number))
    if kind == "HttpList":
        options["pages"] = airflow_fanout.PageNumber()
    return lambda number: getattr(airflow_fanout, kind)(**filled(options, number))


def filled(value: Any, number: int) -> Any:
    """Return a value with the number in the place of each `{n}`."""
    if isinstance(value, dict):
        return {name: filled(part, number) for name, part in value.items()}
    if isinstance(value, str):
        return number if value == "{n}" else value.replace("{n}", str(number))
    return value


def frozen(source: Any, number: int) -> float:
    """Freeze all of a source; return the peak of the memory meanwhile."""
    # proc(5): this makes the peak what is in use now.
    Path("/proc/self/clear_refs").write_text("5")
    with tempfile.TemporaryDirectory() as folder, closing(to_source(source).open(Access(), names=NAMES)) as items:
        selection = Selection()
        manifest = freeze(
            items,
            report_at(Path(folder)).new_list(),
            as_of=AS_OF,
            names=NAMES,
            duplicates="drop",
            selection=selection,
            shards=1,
        )
    assert manifest.count == number, manifest.count
    return peak_mb()


if __name__ == "__main__":
    sizes = [int(size) for size in sys.argv[2:]]
    makers = [declared(*source) for source in json.loads(sys.argv[1])]
    print(json.dumps([[frozen(make(size), size) for size in sizes] for make in makers]))
