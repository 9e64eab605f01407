"""What the tasks of a run leave in Airflow's database, as values."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

NOW = datetime.now(UTC).replace(microsecond=0)
TODAY = NOW.replace(hour=0, minute=0, second=0)
TASKS = ("extract", "fetch", "validate", "load")
COUNT = 20_000
MISSING = 42
HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=alert(1)> \u202eright-to-left\u202c " + "x" * 10_000
)


@dataclass
class Seeded:
    """A run: by task, its state, times and what it has left."""

    dag_id: str
    day: datetime
    state: str
    tasks: dict[str, Any] = field(default_factory=dict)
    run_type: str = "scheduled"
    by: str | None = None
    conf: dict[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The run's id, by its day."""
        return f"{self.run_type}__{self.day:%Y-%m-%dT%H:%M:%S+00:00}"


@dataclass
class Left:
    """A task: when it began and ended, as seconds before now, and what it has left."""

    state: str
    begun: float = 0.0
    ended: float | None = None
    returned: Any = None
    failure: Any = None
    progress: Any = None
    index: int = -1
    tries: int = 1


def course(seconds: int, total: int, per_s: float, *, limit: float = 100, slump: tuple[int, int] | None = None) -> Any:
    """Return the moments of a fetch, with a slump between two of them."""
    dice, done, rows = random.Random(7), 0.0, []
    for s in range(1, seconds + 1):
        is_down = slump is not None and slump[0] <= s < slump[1]
        now = 0.0 if is_down else per_s * min(1, s / 6) * dice.uniform(0.93, 1.06)
        done = min(total, done + now)
        slow = 1 + (0.8 if slump and s >= slump[1] else 0) + 0.1 * math.sin(s / 5)
        latencies = [None, None] if is_down else [round(210 * slow * dice.uniform(0.95, 1.05)), round(520 * slow)]
        allowed = limit * min(1, 0.2 + s / 12) * (0.3 if is_down else 1)
        rows.append([s, int(done), round(now, 1), *latencies, round(allowed), round(allowed * dice.uniform(0.9, 1))])
    return {"columns": ["s", "done", "per_s", "p50_ms", "p95_ms", "limit", "in_flight"], "rows": rows}


def fetched(total: int, done: int, kinds: Mapping[str, int], seconds: float, **more: Any) -> dict[str, Any]:
    """Return what a fetch says of itself."""
    return {
        "parameters": total,
        "done": done,
        "ok": kinds.get("ok", 0),
        "kinds": dict(kinds),
        "resumed": 0,
        "requests": int(done * 1.07),
        "seconds": seconds,
        "rate_per_s": round(done / seconds, 1),
        "p50_ms": 212.4,
        "p95_ms": 540.1,
        "p99_ms": 873.0,
        **more,
    }


def judged(total: int, kinds: Mapping[str, int], **more: Any) -> dict[str, Any]:
    """Return what a validate says of itself."""
    good = kinds.get("ok", 0) + kinds.get("null", 0)
    return {
        "parameters": total,
        "ok": kinds.get("ok", 0),
        "kinds": dict(kinds),
        "coverage": good / total,
        "left_out": 0,
        "rows": total * 7,
        "checks": 3,
        "seconds": 0.4,
        "rate_per_s": 50_000.0,
        **more,
    }


CHECKS = ("ResultSchema(6 fields)", "Unique(tel)", "MaxEmpty(0.2)")
PASSED = [{"check": name, "problem": None} for name in CHECKS]


def extracted(day: datetime, total: int = COUNT, directory: str = "") -> dict[str, Any]:
    """Return what an extract says of itself."""
    return {
        "directory": directory,
        "list": "a1b2",
        "parameters": total,
        "duplicates": 3,
        "as_of": day.isoformat(),
        "day": f"{day:%Y-%m-%d}",
        "seconds": 2.4,
        "rate_per_s": 8_300.0,
        "catch_up": 0,
    }


def loaded(dag_id: str, day: datetime, documents: int) -> dict[str, Any]:
    """Return what a load says of itself."""
    return {
        "collection": f"reports.{dag_id}",
        "mode": "upsert",
        "day": f"{day:%Y-%m-%d}",
        "parameters": documents,
        "documents": documents,
        "partial": False,
        "left_out": 0,
        "seconds": 3.1,
        "rate_per_s": 6_450.0,
    }
