"""Airflow's structured log events as lines of text."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

# Who asks for a task's log knows whose it is; an exception gets lines of its own.
_UNTOLD = frozenset(
    {
        *("timestamp", "level", "event", "error_detail", "logger", "filename", "lineno", "loc"),
        *("ti_id", "dag_id", "run_id", "task_id", "map_index", "try_number"),
    }
)


def log_line(event: Json | str) -> str:
    """Write a structured log event as one line, an exception in it as further lines."""
    if isinstance(event, str):
        return event
    head = " ".join(str(event[key]) for key in ("timestamp", "level", "event") if event.get(key))
    rest = "".join(f" {key}={value!r}" for key, value in event.items() if key not in _UNTOLD)
    return "\n".join([head + rest, *map(_exception, event.get("error_detail") or ())])


def _exception(detail: Json) -> str:
    frames = "".join(f"\n  {frame['filename']}:{frame['lineno']} {frame['name']}" for frame in detail["frames"])
    return f"{detail['exc_type']}: {detail['exc_value']}{frames}"
