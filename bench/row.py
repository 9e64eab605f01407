"""A line of the result: the medians of a client in a case."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.sample import Sample

WITH_START = "+start"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A client in a case; a number is `None` where it wasn't measured.

    :param rate_per_s: requests per second.
    :param cpu_us: microseconds of processor time for a request.
    :param peak_mb: resident memory at its peak.
    :param p50_ms: the median latency; `p99_ms` is the latency that one in a hundred exceeds.
    """

    case: str
    client: str
    rate_per_s: float | None = None
    cpu_us: float | None = None
    peak_mb: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def group(self) -> str:
        """What `--only` calls its cases: the first word of the case."""
        return re.split(r"\W", self.case, maxsplit=1)[0]


def rows_of(case: str, client: str, samples: Sequence[Sample]) -> list[Row]:
    """Return the medians of samples, nothing of none; where the start was timed, a second row has the rate with it."""
    if not samples:
        return []
    row = Row(
        case=case,
        client=client,
        rate_per_s=median(sample.rate_per_s for sample in samples),
        cpu_us=_median(sample.cpu_us for sample in samples),
        peak_mb=_median(sample.peak_mb for sample in samples),
        p50_ms=_median(sample.p50_ms for sample in samples),
        p99_ms=_median(sample.p99_ms for sample in samples),
    )
    rate = _median(sample.started_s and sample.requests / sample.started_s for sample in samples)
    return [row] if rate is None else [row, Row(case=case + WITH_START, client=client, rate_per_s=rate)]


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def write_json(rows: Iterable[Row], path: Path) -> None:
    """Write `{"rows": […]}`, each row with all its fields."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": [_rounded(asdict(row)) for row in rows]}, indent=1) + "\n")


def read_json(path: Path) -> list[Row]:
    """Return the rows that `write_json` wrote."""
    return [Row(**row) for row in json.loads(path.read_text())["rows"]]


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
